"""Make a release the champion, forward or back, and prove that it answers.

The proof is the release's golden requests: what the exported model answered when it was validated
is what the server has to answer now. Where it does not, the old champion is named again before
anything else happens.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError, InputError, Unavailable
from emotion_ai.registry.champion import clear_champion, read_champion, write_champion
from emotion_ai.registry.releases import read_release, verify_release
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.rollouts.proof import (
    CALL_SECONDS,
    POLL_SECONDS,
    prove,
    read_golden_logs,
    seconds_left,
)

# How long the old champion may take to answer again after a rollout that failed.
_RESTORE_SECONDS = 30.0


def roll_out(
    registry: str, version: int, server: str, target: str = "local", timeout_s: float = 120.0
) -> dict[str, Any]:
    """Make a release the champion on `target`; returns the record of what was done.

    The record holds `version`, `previous` (None before the first rollout), `target`, `server`,
    `answers_checked`, `largest_difference` and `seconds`. Rolling out the champion once more
    proves that it answers. `timeout_s` bounds the whole proof.

    Raises `InputError` for a release that is not there, was altered or has no golden requests, and
    for an unknown target: nothing has changed then. Raises `Unavailable` where the server does
    not answer as it should: `models.config` names the old champion again, or is removed where
    there was none.
    """
    targets: dict[str, Callable[[str, int, str, float], dict[str, Any]]] = {
        "local": _roll_out_local,
        "kubernetes": _roll_out_kubernetes,
    }
    if target not in targets:
        raise InputError(f"rollout target {target!r} is unknown; expected {', '.join(targets)}")
    started = time.monotonic()
    record = targets[target](registry, version, server, timeout_s)
    seconds = round(time.monotonic() - started, 3)
    return {"target": target, "server": server, **record, "seconds": seconds}


def _roll_out_kubernetes(
    registry: str, version: int, server: str, timeout_s: float
) -> dict[str, Any]:
    raise InputError("rollout target kubernetes is not built yet; expected local")


def _roll_out_local(registry: str, version: int, server: str, timeout_s: float) -> dict[str, Any]:
    # Seen before the registry is written to, if only with the lock.
    read_release(registry, version)
    with Client(server) as client:
        # A server that is down is found out before anything changes.
        client.model_status(timeout=min(timeout_s, CALL_SECONDS))
        with exclusive_writer(registry):
            return _make_champion(client, registry, version, timeout_s)


def _make_champion(client: Client, registry: str, version: int, timeout_s: float) -> dict[str, Any]:
    verify_release(registry, version)
    golden = read_golden_logs(registry, version)
    previous = read_champion(registry)
    try:
        write_champion(registry, version)
        deadline = time.monotonic() + timeout_s
        difference = prove(client, registry, version, golden, deadline)
    except EmotionAIError as error:
        outcome = _put_back(client, registry, version, previous)
        raise Unavailable(f"release {version} is not rolled out: {error}; {outcome}") from None
    except BaseException:
        _restore(registry, version, previous)
        raise
    return {
        "version": version,
        "previous": previous,
        "answers_checked": len(golden),
        "largest_difference": difference,
    }


def _put_back(client: Client, registry: str, version: int, previous: int | None) -> str:
    try:
        _restore(registry, version, previous)
    except EmotionAIError as error:
        old = "none" if previous is None else f"release {previous}"
        return f"models.config could not be put back to {old}: {error}"
    return _await_put_back(client, version, previous)


def _restore(registry: str, version: int, previous: int | None) -> None:
    """Name the old champion again, unless someone without the lock has named one meanwhile."""
    if read_champion(registry) != version:
        return
    if previous is None:
        clear_champion(registry)
    else:
        write_champion(registry, previous)


def _await_put_back(client: Client, version: int, previous: int | None) -> str:
    """See the server back where it was; returns what came of it, in words."""
    with contextlib.suppress(EmotionAIError):
        if previous is None:
            # A server keeps what it holds when the file goes; what failed must not answer.
            client.unload_all()
            return "there is no champion, as before"
        deadline = time.monotonic() + _RESTORE_SECONDS
        while time.monotonic() < deadline:
            states = {s.version: s for s in client.version_statuses(timeout=seconds_left(deadline))}
            old, failed = states.get(previous), states.get(version)
            # The server forgets a failure once it has read the restored file.
            done = failed is None or (failed.state == "END" and not failed.error)
            if old is not None and old.state == "AVAILABLE" and (done or version == previous):
                return f"release {previous} is the champion, as before, and answers"
            time.sleep(POLL_SECONDS)
    named = "no champion is" if previous is None else f"release {previous} is"
    return f"{named} named in models.config, as before; the server has not followed yet"
