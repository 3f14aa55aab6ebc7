"""Count the errors of FFmpeg's decoders, which hand out a damaged frame as if it were whole.

OpenCV tells nothing of them; FFmpeg writes each to its log. Here the log is listened to.
"""

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# https://ffmpeg.org/doxygen/6.0/log_8h.html: AV_LOG_ERROR, and worse below it.
_ERROR_LEVEL = 16
_DECODER_CLASS = b"AVCodecContext"
# Linux alone has it.
_LIBRARIES = Path("/proc/self/maps")
_Listener = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class DecoderErrors:
    """How many errors decoders have had.

    Attributes:
        count: Since the listening began.
    """

    def __init__(self) -> None:
        self.count = 0

    def add(self, sender: int | None, level: int, *_: Any) -> None:
        """Count a line of the log if a decoder reports an error in it."""
        if level <= _ERROR_LEVEL and sender and _class_name(sender) == _DECODER_CLASS:
            self.count += 1


@contextlib.contextmanager
def listen_to_decoders() -> Iterator[DecoderErrors]:
    """Count the errors of decoders within the block; enter it after a video was opened.

    Yields:
        The count, which stays 0 where FFmpeg's library is not found.
    """
    errors = DecoderErrors()
    library = _load_avutil()
    if library is None:
        yield errors
        return
    # Python's object must live as long as FFmpeg may call it.
    listener = _Listener(errors.add)
    library.av_log_set_callback(listener)
    try:
        yield errors
    finally:
        # It prints nothing at the level that was set when OpenCV was imported.
        library.av_log_set_callback(library.av_log_default_callback)


def _class_name(sender: int) -> bytes | None:
    """Return the name of the class of what logs, to which its first field points."""
    described_by = ctypes.c_void_p.from_address(sender).value
    return ctypes.c_char_p.from_address(described_by).value if described_by else None


@functools.cache
def _load_avutil() -> ctypes.CDLL | None:
    """Find FFmpeg's library among those that this process has loaded."""
    if not _LIBRARIES.exists():
        return None
    for line in _LIBRARIES.read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name.startswith("libavutil"):
            return ctypes.CDLL(str(path))
    return None
