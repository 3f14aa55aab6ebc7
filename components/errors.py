"""The package's exceptions: each is one sentence and an exit code.

`EmotionAIError` is the base of all of them. Any other exception is a defect of this package and
keeps its traceback. The tree is in the docstring of `emotion_ai`.
"""

import contextlib
import re
import sys
from collections.abc import Iterator

# How a failed step's log names its failure; the local runner reads it.
ERROR_LINE = "emotion-ai: error (exit code {code}): {message}"


class EmotionAIError(Exception):
    """Base class of this package's exceptions; its message is one sentence for the user.

    Attributes:
        exit_code: What a command or a step that ends with this error exits with.

    Example:
        try:
            with Client("127.0.0.1:8500") as client:
                client.predict("missing.jpg")
        except EmotionAIError as error:
            assert str(error).startswith("missing.jpg: cannot be read")
            assert error.exit_code == 2
    """

    exit_code = 1


class InputError(EmotionAIError):
    """Data, settings or arguments are invalid; the message names the place and what is expected."""

    exit_code = 2


class Unavailable(EmotionAIError):
    """A file system, bucket or server failed; the message names its address."""


class VerificationError(EmotionAIError):
    """An artifact failed a check: its digest, parity with another model, or golden answers."""


def one_line(failure: BaseException) -> str:
    """Join the lines of a failure's message, which a library or a file may have put into it."""
    return re.sub(r"\s*[\r\n]\s*", " ", str(failure)).strip()


def install_hint(extra: str) -> str:
    """Say how to install the packages of an extra; the package is on no index.

    Example:
        >>> install_hint("video")
        "install emotion-ai[video] (in a checkout: pip install '.[video]')"
    """
    return f"install emotion-ai[{extra}] (in a checkout: pip install '.[{extra}]')"


@contextlib.contextmanager
def exit_on_failure() -> Iterator[None]:
    """Turn an `EmotionAIError` into one line on stderr and `SystemExit` with its exit code."""
    try:
        yield
    except EmotionAIError as failure:
        line = ERROR_LINE.format(code=failure.exit_code, message=one_line(failure))
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        raise SystemExit(failure.exit_code) from None
