"""Roll out a release, and record the result, also of a rollout that fails."""

import contextlib
from collections.abc import Mapping
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError
from emotion_ai.registry.runs import write_record
from emotion_ai.rollouts.interruption import exit_on_sigterm
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.settings import validate_settings


def run(
    registry: str,
    version: int,
    server: str,
    target: str,
    settings: Mapping[str, Any],
    run_id: str,
    reason: str = "",
    *,
    may_go_back: bool = False,
) -> None:
    """Make a release the champion, verify the servers, and write the run record "rollout".

    The record is written if the rollout fails, too: with what happened, and why.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        server: HOST:PORT of the model server, for target local.
        target: Where to roll out, see `roll_out`.
        settings: The fields of `RolloutSettings`, for target kubernetes.
        run_id: The run's id.
        reason: Why a person asks for it, for the record; "" in the run that published the release.
        may_go_back: Whether a newer release that serves may be replaced; needs a reason.

    Raises:
        InputError: The release is missing, a setting is invalid, the target is unknown, or the
            reason is missing; nothing has changed.
        VerificationError: A file of the release was altered; nothing has changed. Or answers
            differ: the previous champion is restored.
        Unavailable: A server does not answer: the previous champion is restored. Or the cluster or
            the storage does not answer.
    """
    if may_go_back and not reason.strip():
        raise InputError(
            f"reason is empty: say why release {version} is rolled out; it is recorded"
        )
    rollout_settings = validate_settings(RolloutSettings, settings, "rollout_settings")
    record: dict[str, Any] = {}
    try:
        with exit_on_sigterm():
            roll_out(
                registry,
                version,
                server,
                target,
                settings=rollout_settings,
                run_id=run_id,
                may_go_back=may_go_back,
                reason=reason,
                record=record,
            )
    except BaseException:
        # The reason of the failure is what counts, not that it could not be recorded.
        with contextlib.suppress(EmotionAIError):
            write_record(registry, run_id, "rollout", record)
        raise
    write_record(registry, run_id, "rollout", record)
