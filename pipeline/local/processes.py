"""Terminates the processes of a run when the run ends, unless SIGKILL ends it."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A step saves its state as it runs; it needs no time to save more.
_GRACE_SECONDS = 5.0


@contextlib.contextmanager
def terminate_children_on_exit() -> Iterator[None]:
    """Terminate the processes that the block started, directly or not, when the block ends.

    KFP's local runner leaves its step running when it is interrupted. SIGTERM ends the block as
    Ctrl-C does, with exit code 143. Must be entered in the main thread.
    """
    before = _descendants()
    sigterm_handler = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        # A second Ctrl-C must not cut the clean-up short.
        sigint_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        _terminate(_descendants() - before)
        signal.signal(signal.SIGINT, sigint_handler)
        signal.signal(signal.SIGTERM, sigterm_handler)


def _exit(number: int, frame: Any) -> None:
    sys.exit(128 + number)


def _terminate(processes: set[int]) -> None:
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
    """Return the parent of every running process, by process id: proc(5)."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name comes before, in parentheses, and may contain anything.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    return parents
