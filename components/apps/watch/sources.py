"""Open what is watched: a video file, a camera of this machine, or a stream at an address."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.apps.watch.frames import Recording, open_file
from emotion_ai.apps.watch.live import LiveSource, open_address, open_camera, redact
from emotion_ai.errors import InputError

Source = Recording | LiveSource

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEMES = ("rtsp", "rtsps", "http", "https")


@contextlib.contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open a source for the length of the block.

    Args:
        name: A camera's number, or a device such as /dev/video0; an rtsp://, rtsps://, http:// or
            https:// address, which alone is opened over the network; or a file.

    Yields:
        The source.

    Raises:
        InputError: It is not a video, camera or known kind of address.
        Unavailable: It does not answer.
    """
    source = _open(name)
    try:
        yield source
    finally:
        source.close()


def _open(name: str) -> Source:
    if name.isdecimal():
        return open_camera(int(name))
    if scheme := _ADDRESS.match(name):
        if scheme[1].lower() not in _SCHEMES:
            known = ", ".join(f"{known}://" for known in _SCHEMES)
            raise InputError(f"{redact(name)}: expected {known}, a file or a camera")
        return open_address(name)
    path = Path(name)
    return open_camera(path) if path.is_char_device() else open_file(path)
