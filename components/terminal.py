"""What is written to a terminal, cleaned: names from outside must not command it.

Names of files, headers of tables, and the words of registries and servers are other people's. As
escape sequences they set titles, hide text and move the cursor. Programs call `clean_streams` once;
tables and progress bars are printed on a `clean_console`.
"""

import codecs
import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Control characters but for tab and newline, marks that turn the direction of what follows, line
# separators, and halves of a character, which stand for bytes of a name that are not UTF-8.
CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Ctrl-C, `kill`, and a closed terminal where there is a signal for it.
END_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ESCAPE_ERRORS = "emotion_ai.escape"


def clean(text: str) -> str:
    r"""Replace each character that a terminal would obey instead of showing it.

    Example:
        >>> ascii(clean("\x1b[31mred.jpg"))
        "'\\ufffd[31mred.jpg'"
    """
    return CONTROLS.sub(_REPLACEMENT, text.replace("\r\n", "\n"))


def clean_line(text: str) -> str:
    r"""Clean a name that stands within a line, which it must not end.

    Example:
        >>> ascii(clean_line("a.jpg\nb.jpg"))
        "'a.jpg\\ufffdb.jpg'"
    """
    return clean(text).replace("\n", _REPLACEMENT)


def clean_streams() -> None:
    r"""Clean whatever this process prints from now on, and escape what its encoding lacks.

    Characters that are not in the encoding, such as ASCII, are written as \uXXXX.
    """
    for name in ("stdout", "stderr"):
        # There is none if the caller has closed it; this one stays open until the process ends.
        stream = getattr(sys, name) or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        if not isinstance(stream, _CleanStream):
            setattr(sys, name, _CleanStream(stream))


def clean_console(stream: TextIO, width: int | None = None) -> "Console":
    """Return a console for tables and progress bars, whose own colours are kept.

    Args:
        stream: Where it prints.
        width: In characters; None for the terminal's.
    """
    from rich.console import Console
    from rich.segment import Segment

    class CleanConsole(Console):
        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=clean(segment.text))

        def on_broken_pipe(self) -> None:
            # Rich would close `sys.stdout`, which has no number while a run reads its steps.
            raise SystemExit(1)

    # Below what cleans the stream, and below a progress bar that is shown meanwhile.
    while hasattr(stream, "rich_proxied_file"):
        stream = stream.rich_proxied_file
    return CleanConsole(file=stream, width=width)


class _WatchedStream:
    """A text stream that remembers how it failed, since libraries may pass over it.

    Attributes:
        failure: The first one; None while all went well.
    """

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None
        self._stream = stream

    def write(self, text: str) -> int:
        with self._remember():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._remember():
            self._stream.flush()

    @contextlib.contextmanager
    def _remember(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _CleanStream:
    """A text stream that cleans what is written to it.

    Attributes:
        rich_proxied_file: The stream itself, to which Rich writes its colours.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = _WatchedStream(stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ESCAPE_ERRORS)

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        # Click writes its own encoding to the bytes below where it finds ASCII.
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.rich_proxied_file, name)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


codecs.register_error(_ESCAPE_ERRORS, _escape)
