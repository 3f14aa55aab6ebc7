"""What `emotion-ai publish` is asked for."""

import contextlib
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emotion_ai.errors import InputError

PIPELINE_NAME = "emotion-ai"


@dataclass(frozen=True)
class Order:
    """What is to be published and started.

    Attributes:
        namespace: Of a multi-user installation; None in one for a single user.
        name: Of the pipeline and of its experiment.
        schedule: As `cron.normalise` writes it; "" for no schedule.
        run_name: Name of a run to start now; "" for none.
        parameters: Of schedule and run.
        service_account: Of their pods; None for KFP's default.
        repeat: The options that `emotion-ai publish` was given besides, for the lines that say
            how to go back.
    """

    namespace: str | None = None
    name: str = PIPELINE_NAME
    schedule: str = ""
    run_name: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    service_account: str | None = None
    repeat: str = ""

    @property
    def schedule_prefix(self) -> str:
        """What the names of schedules begin with that were made here."""
        return f"{self.name}-schedule-"

    @property
    def starts_something(self) -> bool:
        """Whether there is a schedule or a run that parameters could be for."""
        return bool(self.schedule or self.run_name)


def parse_parameters(arguments: Sequence[str], are_used: bool) -> dict[str, Any]:
    """Parse NAME=VALUE as `kfp run create` does, which reads each value as JSON first.

    Args:
        arguments: The arguments of the command line.
        are_used: Whether there is a schedule or a run to give them to.

    Raises:
        InputError: An argument is not NAME=VALUE, is given twice, or nobody uses it.
    """
    if arguments and not are_used:
        raise InputError(
            f"parameter {arguments[0]!r}: the published pipeline takes none; name a --schedule or "
            "a --run for it, or write it into the environment"
        )
    from kfp.cli.utils.parsing import parse_parameter_value

    found: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"parameter {argument!r}: expected NAME=VALUE")
        if name in found:
            raise InputError(f"parameter {name!r} is given twice")
        try:
            _refuse_keys_given_twice(name, value)
            found[name] = parse_parameter_value(value)
        except RecursionError:
            raise InputError(f"parameter {name}: lists or objects within too many others") from None
    return found


def _refuse_keys_given_twice(name: str, value: str) -> None:
    """Look at the objects of a value that is JSON; of such keys, the last alone would count."""

    def check(pairs: list[tuple[str, Any]]) -> None:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                raise InputError(f"parameter {name}: the key {key!r} is given twice; leave one out")

    # What is no JSON is text.
    with contextlib.suppress(ValueError):
        json.loads(value, object_pairs_hook=check)


def options_to_repeat(environment: str, namespace: str) -> str:
    """Return the options with which another call means the same place."""
    words = [] if environment == "cluster" else ["--environment", environment]
    return shlex.join([*words, "--namespace", namespace] if namespace else words)
