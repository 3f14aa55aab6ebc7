"""What is watched: a video file, a camera of this machine, or a stream at an address."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.apps.watch.frames import Recording, open_file
from emotion_ai.apps.watch.live import LiveSource, open_address, open_camera, without_secrets
from emotion_ai.errors import InputError

Source = Recording | LiveSource

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEMES = ("rtsp", "rtsps", "http", "https")


@contextlib.contextmanager
def open_source(name: str) -> Iterator[Source]:
    """The source of this name, for the length of the block.

    A number is a camera, as is a device such as /dev/video0; what begins with rtsp:// or http:// is
    an address, and nothing else makes this reach into the network; the rest are files.

    Raises `InputError` where it is no source, and `Unavailable` where an address does not answer.
    """
    source = _opened(name)
    try:
        yield source
    finally:
        source.close()


def _opened(name: str) -> Source:
    if name.isdecimal():
        return open_camera(int(name))
    if scheme := _ADDRESS.match(name):
        if scheme[1].lower() not in _SCHEMES:
            known = ", ".join(f"{known}://" for known in _SCHEMES)
            raise InputError(f"{without_secrets(name)}: expected {known}, a file or a camera")
        return open_address(name)
    path = Path(name)
    return open_camera(path) if path.is_char_device() else open_file(path)
