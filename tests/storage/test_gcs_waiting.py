"""Cloud Storage that does not answer: what is said while a request waits, and at its end."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.storage import gcs_waiting

from support.storage_proxy import running_storage_proxy


@pytest.fixture
def silent_address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where a socket takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield address


def set_limits(monkeypatch: pytest.MonkeyPatch, message: float, timeout: float) -> None:
    monkeypatch.setattr(gcs_waiting, "MESSAGE_AFTER_SECONDS", message)
    monkeypatch.setattr(gcs_waiting, "TIMEOUT_SECONDS", timeout)
    monkeypatch.setattr(gcs_waiting, "RETRY_SECONDS", 2 * timeout)


def test_limits_are_those_that_the_readme_names() -> None:
    assert gcs_waiting.MESSAGE_AFTER_SECONDS == 5
    assert gcs_waiting.RETRY_SECONDS == 60
    # Two tries at least: a connection that was lost is no storage that is down.
    assert gcs_waiting.TIMEOUT_SECONDS <= gcs_waiting.RETRY_SECONDS / 2


@pytest.mark.parametrize(
    "request_of",
    [
        lambda uri: storage.read_bytes(uri, 1),
        lambda uri: storage.write_bytes(uri, b"x"),
        lambda uri: storage.list_names(uri),
        lambda uri: list(storage.walk(uri)),
        lambda uri: storage.exists(uri),
        lambda uri: storage.open_binary(uri),
        lambda uri: storage.remove(uri),
    ],
)
def test_a_request_says_once_for_whom_it_waits_and_ends_with_one_sentence(
    request_of: object,
    silent_address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_limits(monkeypatch, message=0.1, timeout=0.5)
    with pytest.raises(Unavailable, match="Cloud Storage did not answer") as failure:
        request_of("gs://faces/registry")
    assert str(failure.value).startswith("gs://faces/registry")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waiting for Cloud Storage at {silent_address} (gs://faces/registry")
    assert line.endswith("no answer for 0.1 s; this gives up after 1 s")


def test_a_read_of_an_open_object_says_for_whom_it_waits(
    cloud_storage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = storage.join(cloud_storage, tmp_path.name, "object")
    storage.write_bytes(uri, b"content")
    with running_storage_proxy(os.environ["STORAGE_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
        set_limits(monkeypatch, message=0.01, timeout=30.0)
        with storage.open_binary(uri) as file:
            capsys.readouterr()
            # Refused twice: the second try comes after a pause.
            proxy.refuse(2, 503)
            assert file.read() == b"content"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waiting for Cloud Storage at {proxy.address} ({uri}): ")


def test_a_storage_that_is_back_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.api_core.exceptions import ServiceUnavailable

    pauses: list[float] = []
    # No time passes, so that no limit of time ends the tries.
    monkeypatch.setattr(time, "sleep", pauses.append)

    def send() -> bytes:
        if len(pauses) < 30:
            raise ServiceUnavailable("the storage is away")
        return b"content"

    retry = gcs_waiting.retry_with_message("gs://faces/registry", "http://127.0.0.1:9")
    assert retry(send)() == b"content"
    assert len(pauses) == 30
    # Pauses are random below a limit that doubles from one second.
    assert 1 < max(pauses) <= gcs_waiting.MAX_PAUSE_SECONDS <= 10


def test_an_answer_in_time_is_no_reason_for_a_message(
    cloud_storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = storage.join(cloud_storage, tmp_path.name, "object")
    storage.write_bytes(uri, b"content")
    assert storage.read_bytes(uri, 7) == b"content"
    assert capsys.readouterr().err == ""
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert all(timer.finished.is_set() for timer in timers)


def test_a_command_ends_with_the_message_and_the_reason(silent_address: str) -> None:
    script = (
        "from emotion_ai.storage import gcs_waiting\n"
        "gcs_waiting.MESSAGE_AFTER_SECONDS, gcs_waiting.TIMEOUT_SECONDS = 0.1, 0.5\n"
        "gcs_waiting.RETRY_SECONDS = 1.0\n"
        "from emotion_ai.pipeline.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "describe", "--registry", "gs://faces/registry"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    waiting, reason = result.stderr.splitlines()
    assert waiting.startswith(f"waiting for Cloud Storage at {silent_address} ")
    assert reason.startswith("emotion-ai: gs://faces/registry/models.config: Cloud Storage did not")
