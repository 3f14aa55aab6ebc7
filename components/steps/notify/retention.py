"""Remove what earlier runs left and nobody needs, where the settings limit its age."""

import time
from functools import partial
from typing import Any

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.ageing import remove_old_checkpoints, remove_old_runs
from emotion_ai.registry.settings import RetentionSettings
from emotion_ai.settings import validate_settings


def remove_what_is_old(registry: str, checkpoints: str, retention: dict[str, Any]) -> None:
    """Remove old runs and checkpoints, and print how many.

    A storage that fails is no reason to call the run failed: the next run tries again.

    Args:
        registry: A local folder or a gs:// URI.
        checkpoints: The folder of all checkpoints; "" for none.
        retention: The fields of `RetentionSettings`.

    Raises:
        InputError: A setting is invalid.
    """
    limits = validate_settings(RetentionSettings, retention, "retention")
    now = time.time()
    for what, days, remove in (
        ("runs", limits.runs_days, partial(remove_old_runs, registry)),
        ("checkpoints", limits.checkpoints_days, partial(remove_old_checkpoints, checkpoints)),
    ):
        try:
            removed = remove(days, now)
        except (InputError, Unavailable) as error:
            print(f"not all old {what} were removed: {error}")
            continue
        if removed:
            print(f"{what} removed, older than {days} days: {len(removed)}")
