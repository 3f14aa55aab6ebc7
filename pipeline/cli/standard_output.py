"""What the command prints arrives, or its end says that it did not."""

import contextlib
import os
import sys
from collections.abc import Iterator

from emotion_ai.errors import Unavailable


@contextlib.contextmanager
def complete_output() -> Iterator[None]:
    """Flush standard output at the end of the block, and look whether all of it was written.

    Use it after `clean_streams`, which remembers a failure that a library has passed over.

    Raises:
        Unavailable: It cannot be written; a disk is full.
        SystemExit: Its reader is gone; nobody is left to be told.
    """
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        failure = getattr(sys.stdout, "failure", None)
        if failure is not None:
            _forget_output()
        if isinstance(failure, BrokenPipeError):
            raise SystemExit(1) from None
        if failure is not None:
            raise Unavailable(
                f"standard output: cannot be written: {failure.strerror}; send it elsewhere"
            ) from None


def _forget_output() -> None:
    """Let Python's own flush at the end of the process succeed."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
