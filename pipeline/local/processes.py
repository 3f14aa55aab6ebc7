"""End the processes of a run with it, however it ends.

This file is also the program that does it: started by its path, it waits for the end of its
standard input, a pipe from the run, which the system closes if the run is killed. Processes whose
parent was killed have another one, so a run knows its own by a variable in their environment.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

_VARIABLE = "EMOTION_AI_LOCAL_RUN"
# A step saves its state as it runs; it needs no time to save more.
_GRACE_SECONDS = 5.0


@contextlib.contextmanager
def terminate_children_on_exit() -> Iterator[None]:
    """Terminate the processes that the block started, directly or not, when the block ends.

    KFP's local runner leaves its step running when it is interrupted. SIGTERM ends the block as
    Ctrl-C does, with exit code 143. Must be entered in the main thread.
    """
    name = uuid.uuid4().hex
    # In a group of its own, Ctrl-C does not reach it.
    command = [sys.executable, "-I", __file__, name]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
    os.environ[_VARIABLE] = name
    sigterm_handler = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        # A second Ctrl-C must not cut the clean-up short.
        sigint_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        watcher.communicate()
        del os.environ[_VARIABLE]
        signal.signal(signal.SIGINT, sigint_handler)
        signal.signal(signal.SIGTERM, sigterm_handler)


@contextlib.contextmanager
def terminate_steps_on_error() -> Iterator[None]:
    """Terminate the run's processes that the block started if it raises. Not the server's."""
    name = os.environ[_VARIABLE]
    before = _processes(name)
    try:
        yield
    except BaseException:
        _terminate(name, before)
        raise


def _exit(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _terminate(name: str, spared: Set[int] = frozenset()) -> None:
    told: set[int] = set()
    deadline = time.monotonic() + _GRACE_SECONDS
    while (processes := _processes(name) - spared) and time.monotonic() < deadline:
        _signal(processes - told, signal.SIGTERM)
        told |= processes
        time.sleep(0.05)
    _signal(processes, signal.SIGKILL)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _processes(name: str) -> set[int]:
    """Return the processes of a run: proc(5). Those that have ended have no environment."""
    variable = f"{_VARIABLE}={name}".encode()
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Others' cannot be read.
        with contextlib.suppress(OSError):
            if variable in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
    return found


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _terminate(sys.argv[1])
