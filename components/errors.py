"""The package's exceptions: each is one sentence and an exit code.

`EmotionAIError` is the base of all of them. Any other exception is a defect of this package and
keeps its traceback. The tree is in the docstring of `emotion_ai`.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.terminal import clean, clean_streams

# How a failed step's log names its failure; the local runner reads it.
ERROR_LINE = "emotion-ai: error (exit code {code}): {message}"
# What a container writes here is shown with its pod; Kubernetes keeps 4,096 bytes.
TERMINATION_LOG = Path("/dev/termination-log")
_MAX_TERMINATION_BYTES = 4096


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


def one_line(failure: BaseException | str) -> str:
    """Join the lines of a failure's message, and clean it: others' words may be in it."""
    return clean(re.sub(r"\s*[\r\n]\s*", " ", str(failure))).strip()


def install_hint(extra: str) -> str:
    """Say how to install the packages of an extra; the package is on no index.

    Example:
        >>> install_hint("video")
        "install emotion-ai[video] (in a checkout: pip install '.[video]')"
    """
    return f"install emotion-ai[{extra}] (in a checkout: pip install '.[{extra}]')"


def describe_failure(failure: BaseException) -> str:
    """Describe a failure in one line; one that is a defect of this package begins with its type."""
    message = one_line(failure)
    return (
        message if isinstance(failure, EmotionAIError) else f"{type(failure).__name__}: {message}"
    )


@contextlib.contextmanager
def exit_on_failure() -> Iterator[None]:
    """Turn an `EmotionAIError` into one line on stderr and `SystemExit` with its exit code.

    It is the last line of the log. In a container of Kubernetes it is the termination message too,
    and so is a defect's. What the process prints is cleaned from here on, and its
    temporary files go when it ends, or when the next one starts.
    """
    from emotion_ai.storage.scratch import scratch_folder

    clean_streams()
    try:
        with scratch_folder():
            yield
    except Exception as failure:
        # What was printed before the failure must not follow it in the log.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        _write_termination_message(describe_failure(failure))
        if not isinstance(failure, EmotionAIError):
            raise
        line = ERROR_LINE.format(code=failure.exit_code, message=one_line(failure))
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        raise SystemExit(failure.exit_code) from None


def _write_termination_message(message: str) -> None:
    # Elsewhere a file of that name is somebody else's.
    if "KUBERNETES_SERVICE_HOST" in os.environ and TERMINATION_LOG.exists():
        # Whole characters, or the pod's status could not be told.
        text = message.encode(errors="replace")[:_MAX_TERMINATION_BYTES].decode(errors="ignore")
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_bytes(text.encode())
