"""Ctrl-C at any moment: one line, exit code 130, no process left behind."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

TINY = Path(__file__).parents[1] / "pipeline" / "tiny.yaml"
SOURCES = ("--keypoints", "sample://420?seed=3", "--expression", "sample://420?seed=3")
INTERRUPTED = "emotion-ai: interrupted\n"


@contextlib.contextmanager
def started_command(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command in its own session, whose remaining processes are killed afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for pid in session_processes(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def session_processes(leader: int) -> dict[int, str]:
    """Return the command lines of the session's live processes; zombies have none: proc(5)."""
    lines = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().decode(errors="replace")
            if line and os.getsid(int(path.parent.name)) == leader:
                lines[int(path.parent.name)] = line
    return lines


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_predict_is_interrupted_while_the_server_is_silent(tmp_path: Path) -> None:
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with started_command(
            tmp_path, "predict", "face.png", "--faces", "whole", "--server", address
        ) as process:
            silent.accept()
            process.send_signal(signal.SIGINT)
            output, error = process.communicate(timeout=60)
    assert (process.returncode, output, error) == (130, "", INTERRUPTED)


def test_client_is_interrupted_before_grpc_waits_for_its_call(tmp_path: Path) -> None:
    # Ctrl-C while gRPC is about to start the thread that ends a call, which has begun.
    script = """
import os, signal, time
import numpy as np
from grpc import _channel
from emotion_ai import Client

start_thread = _channel._run_channel_spin_thread

def interrupt(state):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    start_thread(state)

_channel._run_channel_spin_thread = interrupt
with Client("127.0.0.1:9", faces="whole") as client:
    client.predict(np.zeros((96, 96), np.uint8))
"""
    command = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert command.stderr.endswith("\nKeyboardInterrupt\n")


@pytest.mark.slow
@pytest.mark.parametrize("to_group", [True, False], ids=["terminal", "kill"])
@pytest.mark.parametrize("moment", ["emotion_ai.server", "train_keypoints"])
def test_run_is_interrupted(tmp_path: Path, moment: str, to_group: bool) -> None:
    with started_command(tmp_path, "run", *SOURCES, "--preset", str(TINY)) as process:
        wait_until(lambda: any(moment in line for line in session_processes(process.pid).values()))
        (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
        output, error = process.communicate(timeout=120)
        assert (process.returncode, error) == (130, INTERRUPTED)
        # The steps that were ended with it are no news.
        assert "failed" not in output
        assert not session_processes(process.pid)
    assert not (tmp_path / "registry/models.config").exists()
    _assert_recorded_as_interrupted(tmp_path)


@pytest.mark.slow
def test_terminated_run_exits_with_143_and_leaves_no_process(tmp_path: Path) -> None:
    with started_command(tmp_path, "run", *SOURCES, "--preset", str(TINY)) as process:
        wait_until(
            lambda: any("executor_main" in line for line in session_processes(process.pid).values())
        )
        process.terminate()
        process.communicate(timeout=120)
        assert process.returncode == 143
        assert not session_processes(process.pid)
    _assert_recorded_as_interrupted(tmp_path)


def _assert_recorded_as_interrupted(folder: Path) -> None:
    (run,) = (folder / "registry" / "runs").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert (record["outcome"], record["release"]) == ("interrupted", None)
    assert "The run was interrupted" in (run / "index.html").read_text()
