"""Make a release the champion on a target, forward or back, and prove that it answers."""

import time
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError
from emotion_ai.rollouts.settings import RolloutSettings

TARGETS = ("local", "kubernetes")
# Outcomes of a rollout after which what serves is as new as the wanted release, or newer.
SUCCESSFUL = ("rolled out", "unchanged", "superseded")


def check_target(name: str) -> str:
    """Return the name of a target; raise `InputError` if there is no such target."""
    if name not in TARGETS:
        raise InputError(f"rollout target {name!r} is unknown; expected {', '.join(TARGETS)}")
    return name


def roll_out(
    registry: str,
    version: int,
    server: str,
    target: str = "local",
    timeout_s: float = 120.0,
    *,
    settings: RolloutSettings | None = None,
    run_id: str = "",
    may_go_back: bool = True,
    reason: str = "",
    record: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a release the champion on a target, and verify that it answers.

    Rolling out the champion again only verifies it.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        server: HOST:PORT of the model server, which serves this registry; for target local.
        target: Where to roll out, see `TARGETS`.
        timeout_s: Limit for the whole verification on target local, in seconds.
        settings: Of target kubernetes; None for the defaults.
        run_id: The run that asks for it; "" for a person at the command line.
        may_go_back: Whether a newer release that serves may be replaced; for target kubernetes.
        reason: Why, for the record; "" for none.
        record: Is filled as the rollout goes on, so that what happened is known if this raises.

    Returns:
        The record of the rollout. On both targets it has `target`, `version`, `outcome` ("rolled
        out"; on target kubernetes "unchanged" or "superseded" too), `previous` (None before the
        first rollout), `answers_checked`, `largest_difference` and `seconds`. If this raises,
        `outcome` is "failed", or as `roll_out_in_cluster` says, and `reasons` has the message.

    Raises:
        InputError: The release is missing or has no golden requests, the target is unknown, or
            rights are missing in the cluster; nothing has changed.
        VerificationError: A file of the release was altered; nothing has changed. Or answers
            differ: the previous champion serves as before.
        Unavailable: A server, the cluster or the storage does not answer.

    Example:
        >>> from emotion_ai.rollouts.targets import roll_out
        >>> roll_out("models", version=3, server="127.0.0.1:8500")["previous"]
        2
    """
    record = {} if record is None else record
    record |= {"target": target, "version": version, "outcome": "failed"}
    if reason:
        record["reason"] = reason
    started = time.monotonic()
    try:
        if check_target(target) == "local":
            from emotion_ai.rollouts.local import roll_out_locally

            record["server"] = server
            record |= roll_out_locally(registry, version, server, timeout_s)
            record["outcome"] = "rolled out"
        else:
            from emotion_ai.rollouts.cluster.protocol import Request, roll_out_in_cluster

            request = Request(registry, version, run_id, may_go_back, reason)
            roll_out_in_cluster(request, settings or RolloutSettings(), record)
    except EmotionAIError as error:
        record["reasons"] = [str(error)]
        raise
    except BaseException:
        record["outcome"] = "interrupted"
        raise
    finally:
        record["seconds"] = round(time.monotonic() - started, 3)
    return record
