"""The server opens no port before its models are loaded, and ends on a signal."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.server.process import SERVING_LINE, server_process

from support.command_line import assert_refused, emotion_ai
from support.server_calls import eventually


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _started(log: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server and do not wait for its address."""
    command = [sys.executable, "-m", "emotion_ai.server", *flags]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            yield process
        finally:
            process.kill()


def _write_bad_model(folder: Path) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_bytes(b"not a graph")


def test_no_port_is_open_before_a_model_is_loaded(tmp_path: Path, tiny_saved_model: Path) -> None:
    models, log = tmp_path / "models", tmp_path / "log"
    models.mkdir()
    port, rest = _free_port(), _free_port()
    flags = (f"--model_base_path={models}", f"--port={port}", f"--rest_api_port={rest}")
    with _started(log, "--file_system_poll_wait_seconds=0.1", *flags) as process:
        _write_bad_model(models)
        eventually(lambda: "version 1 does not load" in log.read_text())
        assert not _is_open(port)
        assert not _is_open(rest)
        assert SERVING_LINE.search(log.read_text()) is None
        (models / "2").symlink_to(tiny_saved_model)
        eventually(lambda: SERVING_LINE.search(log.read_text()) is not None)
        assert _is_open(port)
        assert _is_open(rest)
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_server_ends_while_it_loads_a_model(tmp_path: Path, tiny_saved_model: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "1").symlink_to(tiny_saved_model)
    with _started(log, "--port=0", f"--model_base_path={tmp_path}/models") as process:
        eventually(lambda: "TensorFlow is imported" in log.read_text())
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "terminate called" not in log.read_text()


def test_models_that_do_not_load_end_the_server(tmp_path: Path) -> None:
    _write_bad_model(tmp_path / "models")
    flags = ["--port=0", f"--model_base_path={tmp_path}/models", "--max_num_load_retries=1"]
    # Retries do not depend on looking into the folders again.
    flags += ["--load_retry_interval_micros=1000", "--file_system_poll_wait_seconds=0"]
    result = emotion_ai("serve", *flags)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("version 1 does not load") == 2
    last_line = result.stderr.splitlines()[-1]
    assert f"{tmp_path}/models: 1 model(s) did not become available" in last_line


@pytest.mark.parametrize(("folder", "reason"), [("absent", "base path"), ("", "no versions")])
def test_server_ends_if_nothing_is_there_and_it_looks_once(
    tmp_path: Path, folder: str, reason: str
) -> None:
    base_path = tmp_path / folder
    flags = ("--port=0", f"--model_base_path={base_path}", "--file_system_poll_wait_seconds=0")
    result = emotion_ai("serve", *flags)
    assert result.returncode == 1
    assert str(base_path) in result.stderr.splitlines()[-1]
    assert reason in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("folder", "told"),
    [("absent", "Could not find base path {}"), ("", "no versions of default in {};")],
)
def test_server_that_waits_for_a_model_says_so_and_ends_at_sigterm(
    tmp_path: Path, folder: str, told: str
) -> None:
    log, base_path = tmp_path / "log", tmp_path / folder
    flags = ("--port=0", f"--model_base_path={base_path}", "--file_system_poll_wait_seconds=0.1")
    with _started(log, *flags) as process:
        eventually(lambda: told.format(base_path) in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_waiting_server_answers_unavailable(tmp_path: Path) -> None:
    """Callers try again elsewhere, or later; NOT_FOUND would be final."""
    from support.tiny_saved_model import gray_faces

    rest = _free_port()
    flags = ["--registry", str(tmp_path), "--port=0", f"--rest_api_port={rest}"]
    with server_process(flags, tmp_path / "log") as (address, _), Client(address) as client:
        assert client.model_status() == {}
        with pytest.raises(Unavailable, match="no model has been loaded yet"):
            client.predict_arrays(gray_faces(1))
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", rest)) as connection:
            connection.request("GET", "/v1/models/emotion_ai/metadata")
            response = connection.getresponse()
            assert response.status == 503
            assert json.loads(response.read()) == {"error": "no model has been loaded yet"}


def test_busy_rest_port_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        result = emotion_ai(
            "serve", "--registry", str(tmp_path), "--port=0", f"--rest_api_port={port}"
        )
    assert_refused(result, 1, f"127.0.0.1:{port}", "choose another --rest_api_port")


@pytest.mark.parametrize("made", [False, True])
def test_a_registry_without_a_champion_is_waited_for_and_named_at_once(
    tmp_path: Path, made: bool
) -> None:
    registry = tmp_path / "nope"
    if made:
        registry.mkdir()
    log = tmp_path / "log"
    with _started(log, f"--registry={registry}", f"--port={_free_port()}"):
        eventually(lambda: SERVING_LINE.search(log.read_text()) is not None)
        waiting = f"{registry}/models.config: no such file yet; waiting for the first rollout"
        assert log.read_text().count(waiting) == 1
