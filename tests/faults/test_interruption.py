"""Ctrl-C, at any moment: one line, exit code 130, nobody left behind."""

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
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a session of its own, by which what it leaves behind is found, and ended."""
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
        for left in session(process.pid):
            os.kill(left, signal.SIGKILL)
        process.wait()


def session(leader: int) -> dict[int, str]:
    """Command lines of the session's living processes; one that has ended has none: proc(5)."""
    lines = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().decode(errors="replace")
            if line and os.getsid(int(path.parent.name)) == leader:
                lines[int(path.parent.name)] = line
    return lines


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_while_a_server_is_silent(tmp_path: Path) -> None:
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with started(
            tmp_path, "predict", "face.png", "--faces", "whole", "--server", address
        ) as process:
            silent.accept()
            process.send_signal(signal.SIGINT)
            printed, error = process.communicate(timeout=60)
    assert (process.returncode, printed, error) == (130, "", INTERRUPTED)


@pytest.mark.slow
@pytest.mark.parametrize("to_everyone", [True, False], ids=["terminal", "kill"])
@pytest.mark.parametrize("moment", ["emotion_ai.server", "train_keypoints"])
def test_while_a_run_is_under_way(tmp_path: Path, moment: str, to_everyone: bool) -> None:
    with started(tmp_path, "run", *SOURCES, "--preset", str(TINY)) as process:
        eventually(lambda: any(moment in line for line in session(process.pid).values()))
        (os.killpg if to_everyone else os.kill)(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=120)
        assert (process.returncode, error) == (130, INTERRUPTED)
        assert not session(process.pid)
    assert not (tmp_path / "registry/models.config").exists()
    _is_recorded_as_interrupted(tmp_path)


@pytest.mark.slow
def test_a_run_that_is_terminated_ends_with_143_and_leaves_nobody(tmp_path: Path) -> None:
    with started(tmp_path, "run", *SOURCES, "--preset", str(TINY)) as process:
        eventually(lambda: any("executor_main" in line for line in session(process.pid).values()))
        process.terminate()
        process.communicate(timeout=120)
        assert process.returncode == 143
        assert not session(process.pid)
    _is_recorded_as_interrupted(tmp_path)


def _is_recorded_as_interrupted(folder: Path) -> None:
    (run,) = (folder / "registry" / "runs").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert (record["outcome"], record["release"]) == ("interrupted", None)
    assert "The run was interrupted" in (run / "index.html").read_text()
