"""A run's processes end with it: those of its children too, and if it is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import subprocess, sys
from emotion_ai.pipeline.local.processes import terminate_children_on_exit

STEP = "sleep 100 & echo $! $$; wait"
with terminate_children_on_exit():
    step = subprocess.Popen(["sh", "-c", STEP], stdout=subprocess.PIPE, text=True)
    print(step.stdout.readline(), end="", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run() -> Iterator[tuple[subprocess.Popen[str], list[Path]]]:
    """A process in the block, which it leaves at the end of its input; and its children's."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        children = [Path("/proc", pid, "cmdline") for pid in process.stdout.readline().split()]
        assert len(children) == 2
        yield process, children


def is_running(command_line: Path) -> bool:
    """Whether a process runs: that of a zombie is empty, proc(5)."""
    try:
        return bool(command_line.read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    "end",
    [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None],
    ids=["killed", "terminated", "interrupted", "left"],
)
def test_children_end_with_the_run(
    run: tuple[subprocess.Popen[str], list[Path]], end: signal.Signals | None
) -> None:
    process, children = run
    if end:
        process.send_signal(end)
        process.wait(60)
    # It closes the input, and reads until nobody can write any more.
    process.communicate(timeout=60)
    codes = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: -signal.SIGINT}
    assert process.returncode == (codes[end] if end else 0)
    assert not any(map(is_running, children))


def test_other_processes_stay(run: tuple[subprocess.Popen[str], list[Path]]) -> None:
    process, _ = run
    with subprocess.Popen(["sleep", "100"]) as other:
        process.kill()
        process.communicate(timeout=60)
        assert other.poll() is None
        other.kill()
