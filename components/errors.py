"""How a command or a step fails: one sentence and an exit code, never a traceback.

`InputError` is the user's mistake (exit code 2); `Unavailable` is the world's (exit code 1).
Any other exception is a defect of ours and keeps its traceback.
"""

import contextlib
import re
import sys
from collections.abc import Iterator

# How a failed step's log names its failure; the local runner reads it.
ERROR_LINE = "emotion-ai: error (exit code {code}): {message}"


class InputError(Exception):
    """Data, settings or usage that cannot be worked with; names the place and what was expected."""

    exit_code = 2


class Unavailable(Exception):
    """A file system, bucket or server that did not do its part; names the address."""

    exit_code = 1


def one_line(failure: Exception) -> str:
    """The failure's message on one line, whatever a library or a file put into it."""
    return re.sub(r"\s*[\r\n]\s*", " ", str(failure)).strip()


@contextlib.contextmanager
def exit_on_failure() -> Iterator[None]:
    """Turn the two failures into one line on stderr and `SystemExit` with their exit code."""
    try:
        yield
    except (InputError, Unavailable) as failure:
        line = ERROR_LINE.format(code=failure.exit_code, message=one_line(failure))
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        raise SystemExit(failure.exit_code) from None
