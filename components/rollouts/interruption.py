"""How a rollout ends when its process is asked to stop: as after Ctrl-C, with its clean-up."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit` with the code 143 in the block.

    Only the main thread can; elsewhere SIGTERM ends the process at once, as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _exit(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
