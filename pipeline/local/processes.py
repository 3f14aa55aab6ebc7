"""No process of a run outlives it, however the run ends short of SIGKILL."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A step has nothing to save that it does not save as it goes.
_GRACE_SECONDS = 5.0


@contextlib.contextmanager
def terminate_children_on_exit() -> Iterator[None]:
    """End whatever process the block started, directly or not, and left when it ends itself.

    KFP's local runner forgets its step when it is interrupted. SIGTERM ends the block as Ctrl-C
    does, with exit code 143. To be entered in the main thread.
    """
    before = _descendants()
    terminated = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        # Whoever presses Ctrl-C once more waits these few seconds all the same.
        interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
        _end(_descendants() - before)
        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, terminated)


def _exit(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _end(processes: set[int]) -> None:
    _signal(processes, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while processes and time.monotonic() < deadline:
        time.sleep(0.05)
        processes &= set(_parents())
    _signal(processes, signal.SIGKILL)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _descendants() -> set[int]:
    parents = _parents()
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _parents() -> dict[int, int]:
    """The parent of every process that has not ended, by process id: proc(5)."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    return parents
