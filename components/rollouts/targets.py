"""Make a release the champion, forward or back, and prove that it answers.

The proof is the release's golden requests: what the exported model answered when it was validated
is what the server has to answer now. Where it does not, the old champion is named again before
anything else happens.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.client.client import Answer, Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import clear_champion, read_champion, write_champion
from emotion_ai.registry.releases import WARMUP_PATH, read_release, release_uri, verify_release
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.serving_api.tensors import read_tensor
from emotion_ai.serving_api.warmup import read_golden

# Largest difference of a number from the golden answer; other processors round otherwise.
TOLERANCE = 1e-3
_CALL_SECONDS = 30.0
_POLL_SECONDS = 0.1
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
        client.model_status(timeout=min(timeout_s, _CALL_SECONDS))
        with exclusive_writer(registry):
            return _make_champion(client, registry, version, timeout_s)


def _make_champion(client: Client, registry: str, version: int, timeout_s: float) -> dict[str, Any]:
    verify_release(registry, version)
    golden = _golden(registry, version)
    previous = read_champion(registry)
    try:
        write_champion(registry, version)
        deadline = time.monotonic() + timeout_s
        _await_version(client, registry, version, deadline)
        allowed = _tolerance(registry, version)
        difference = max(_replay(client, version, log, allowed, deadline) for log in golden)
        _await_callers(client, version, golden[0], deadline)
    except (InputError, Unavailable) as error:
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


def _tolerance(registry: str, version: int) -> float:
    """What a server may differ by that answers from model.tflite; combine asked the same faces."""
    return TOLERANCE + float(read_release(registry, version).lite.get("largest_difference", 0.0))


def _golden(registry: str, version: int) -> list[Any]:
    uri = storage.join(release_uri(registry, version), WARMUP_PATH)
    golden = [log.predict_log for log in read_golden(uri) if log.predict_log.response.outputs]
    if not golden:
        raise InputError(f"{uri}: holds no request with its response; publish the release again")
    return golden


def _await_version(client: Client, registry: str, version: int, deadline: float) -> None:
    while time.monotonic() < deadline:
        for status in client.version_statuses(timeout=_left(deadline)):
            if status.version == version and status.state == "AVAILABLE":
                return
            if status.version == version and status.error:
                raise Unavailable(
                    f"server {client.address}: does not load release {version}: {status.error}"
                )
        time.sleep(_POLL_SECONDS)
    raise Unavailable(
        f"server {client.address}: has not loaded release {version} in time; does it serve "
        f"{registry}?"
    )


def _replay(client: Client, version: int, log: Any, allowed: float, deadline: float) -> float:
    answer = client.send(log.request, version, timeout=_left(deadline))
    expected = {name: read_tensor(proto) for name, proto in log.response.outputs.items()}
    if set(answer.outputs) != set(expected):
        raise _wrong(client, f"outputs {sorted(answer.outputs)}, expected {sorted(expected)}")
    return max(_difference(client, name, answer, expected[name], allowed) for name in expected)


def _difference(
    client: Client, name: str, answer: Answer, expected: NDArray, allowed: float
) -> float:
    got = answer.outputs[name]
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        raise _wrong(
            client, f"{name} {got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
        )
    if expected.dtype == object:
        if not np.array_equal(got, expected):
            raise _wrong(client, f"{name} {got.tolist()}, expected {expected.tolist()}")
        return 0.0
    difference = float(np.abs(got.astype(np.float64) - expected).max(initial=0.0))
    # Written so that a NaN fails too.
    if not difference <= allowed:
        raise _wrong(client, f"{name} that differs by {difference:.3g}, at most {allowed:g} may be")
    return difference


def _await_callers(client: Client, version: int, log: Any, deadline: float) -> None:
    # After a step back the higher version answers those who name none, until it is dropped.
    while client.send(log.request, None, timeout=_left(deadline)).version != version:
        if time.monotonic() > deadline:
            raise Unavailable(f"server {client.address}: still answers with another version")
        time.sleep(_POLL_SECONDS)


def _left(deadline: float) -> float:
    return min(_CALL_SECONDS, max(0.1, deadline - time.monotonic()))


def _wrong(client: Client, what: str) -> Unavailable:
    return Unavailable(f"server {client.address}: answers a golden request with {what}")


def _put_back(client: Client, registry: str, version: int, previous: int | None) -> str:
    try:
        _restore(registry, version, previous)
    except (InputError, Unavailable) as error:
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
    with contextlib.suppress(InputError, Unavailable):
        if previous is None:
            # A server keeps what it holds when the file goes; what failed must not answer.
            client.unload_all()
            return "there is no champion, as before"
        deadline = time.monotonic() + _RESTORE_SECONDS
        while time.monotonic() < deadline:
            states = {s.version: s for s in client.version_statuses(timeout=_left(deadline))}
            old, failed = states.get(previous), states.get(version)
            # The server forgets a failure once it has read the restored file.
            done = failed is None or (failed.state == "END" and not failed.error)
            if old is not None and old.state == "AVAILABLE" and (done or version == previous):
                return f"release {previous} is the champion, as before, and answers"
            time.sleep(_POLL_SECONDS)
    named = "no champion is" if previous is None else f"release {previous} is"
    return f"{named} named in models.config, as before; the server has not followed yet"
