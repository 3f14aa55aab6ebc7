"""Open what is watched: a video file, a camera of this machine, or a stream at an address."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.apps.watch.addresses import SCHEMES, open_address
from emotion_ai.apps.watch.frames import Recording, open_file
from emotion_ai.apps.watch.live import LiveSource, open_camera
from emotion_ai.apps.watch.redaction import redact
from emotion_ai.errors import InputError

# https://www.kernel.org/doc/Documentation/admin-guide/devices.txt: the number of all its devices.
_VIDEO4LINUX = 81

Source = Recording | LiveSource

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


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
    scheme = _ADDRESS.match(name)
    if scheme and scheme[1].lower() not in SCHEMES:
        known = ", ".join(f"{known}://" for known in SCHEMES)
        raise InputError(f"{redact(name)}: expected {known}, a file or a camera")
    with open_address(name) if scheme else contextlib.closing(_open_local(name)) as source:
        yield source


def _open_local(name: str) -> Source:
    if not name:
        raise InputError("'': no source; expected a file, a camera or an address")
    if name.isdecimal():
        return open_camera(int(name))
    path = Path(name)
    if not path.is_char_device():
        return open_file(path)
    if os.major(path.stat().st_rdev) != _VIDEO4LINUX:
        raise InputError(f"{path}: no camera; expected a device such as /dev/video0, or a video")
    return open_camera(path)
