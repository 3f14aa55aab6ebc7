"""Roll out on the target local: name the release in models.config, which one server follows.

The server must answer the release's golden requests as the exported model did when it was
validated. If it does not, the previous champion is restored before anything else happens.
"""

import contextlib
import time
from typing import Any

from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError, InputError, Unavailable, VerificationError
from emotion_ai.registry.champion import (
    clear_champion,
    read_champion,
    write_champion,
    write_no_champion,
)
from emotion_ai.registry.releases import read_release, verify_release
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.rollouts.verification import (
    MAX_CALL_SECONDS,
    POLL_SECONDS,
    read_golden_requests,
    seconds_left,
    verify_server,
)

# How long the previous champion may take to answer again after a failed rollout.
_MAX_RESTORE_SECONDS = 30.0


def check_server(server: str) -> None:
    """Ask a model server whether it is there, before anything changes or trains.

    Args:
        server: HOST:PORT.

    Raises:
        InputError: The address is none.
        Unavailable: The server does not answer.
    """
    if not server.strip():
        raise InputError(
            "setting server is empty: target local needs HOST:PORT of the model server that "
            "follows the registry"
        )
    with Client(server) as client:
        client.model_status(timeout=MAX_CALL_SECONDS)


def roll_out_locally(registry: str, version: int, server: str, timeout_s: float) -> dict[str, Any]:
    """Make a release the champion, and verify that the server answers with it.

    Args:
        registry: A local folder or a gs:// URI.
        version: The release's version.
        server: HOST:PORT of the model server, which serves this registry.
        timeout_s: Limit for the whole verification, in seconds.

    Returns:
        The record of the rollout: `version`, `previous`, `answers_checked`, `largest_difference`.

    Raises:
        InputError: The release is missing or has no golden requests; nothing has changed.
        VerificationError: A file was altered, or the server's answers differ.
        Unavailable: The server does not answer; `models.config` is as before.
    """
    # Fail on a missing release before anything is written to the registry, even its lock.
    read_release(registry, version)
    with Client(server) as client:
        # Fail on a server that is down before anything changes.
        client.model_status(timeout=min(timeout_s, MAX_CALL_SECONDS))
        with exclusive_writer(registry):
            return _make_champion(client, registry, version, timeout_s)


def _make_champion(client: Client, registry: str, version: int, timeout_s: float) -> dict[str, Any]:
    verify_release(registry, version)
    golden = read_golden_requests(registry, version)
    previous = read_champion(registry)
    try:
        write_champion(registry, version)
        deadline = time.monotonic() + timeout_s
        difference = verify_server(client, version, golden, deadline)
    except EmotionAIError as error:
        outcome = _roll_back(client, registry, version, previous)
        failure = VerificationError if isinstance(error, VerificationError) else Unavailable
        raise failure(f"release {version} is not rolled out: {error}; {outcome}") from None
    except BaseException:
        _restore_champion(registry, version, previous)
        raise
    return {
        "version": version,
        "previous": previous,
        "answers_checked": len(golden.logs),
        "largest_difference": difference,
    }


def _roll_back(client: Client, registry: str, version: int, previous: int | None) -> str:
    """Restore the previous champion and wait for the server; return the outcome in words."""
    try:
        _restore_champion(registry, version, previous)
    except EmotionAIError as error:
        champion = "none" if previous is None else f"release {previous}"
        return f"models.config could not be put back to {champion}: {error}"
    return _wait_for_roll_back(client, registry, version, previous)


def _restore_champion(registry: str, version: int, previous: int | None) -> None:
    """Name the previous champion again, unless another writer has changed it meanwhile."""
    if read_champion(registry) != version:
        return
    if previous is None:
        clear_champion(registry)
    else:
        write_champion(registry, previous)


def _wait_for_roll_back(client: Client, registry: str, version: int, previous: int | None) -> str:
    """Wait until the server answers as before; return the outcome in words."""
    with contextlib.suppress(EmotionAIError):
        if previous is None:
            # A server keeps its models when the file is removed; the failed one must not answer.
            # One that does not know the release serves something else, which is not ours to unload.
            _unload(client, registry, version)
            return "there is no champion, as before"
        deadline = time.monotonic() + _MAX_RESTORE_SECONDS
        while time.monotonic() < deadline:
            states = {s.version: s for s in client.version_statuses(timeout=seconds_left(deadline))}
            old, failed = states.get(previous), states.get(version)
            # The server forgets a failure once it has read the restored file.
            is_unloaded = failed is None or (failed.state == "END" and not failed.error)
            is_serving = old is not None and old.state == "AVAILABLE"
            if is_serving and (is_unloaded or version == previous):
                return f"release {previous} is the champion, as before, and answers"
            time.sleep(POLL_SECONDS)
    champion = "no champion is" if previous is None else f"release {previous} is"
    return f"{champion} named in models.config, as before; the server has not followed yet"


def _unload(client: Client, registry: str, version: int) -> None:
    """Make a server unload a release that nothing is to follow; it may know none of it."""
    if version not in client.model_status(timeout=MAX_CALL_SECONDS):
        return
    write_no_champion(registry)
    try:
        deadline = time.monotonic() + _MAX_RESTORE_SECONDS
        while time.monotonic() < deadline:
            states = client.model_status(timeout=seconds_left(deadline))
            if "AVAILABLE" not in states.values():
                return
            time.sleep(POLL_SECONDS)
    finally:
        clear_champion(registry)
