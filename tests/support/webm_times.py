"""Change the times in a WebM, as recorders with a variable frame rate write them."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

# https://www.rfc-editor.org/rfc/rfc9559.html#name-matroska-schema
_MASTERS = {0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0x1549A966}
_CLUSTER_TIME, _SIMPLE_BLOCK, _FRAME_DURATION, _DURATION = 0xE7, 0xA3, 0x23E383, 0x4489


def set_times(path: Path, times_ms: Sequence[int], *, as_browsers: bool = False) -> Path:
    """Give the frames of a WebM of a track these times.

    Args:
        path: The file, which is changed.
        times_ms: Less than 32,768; one for each frame.
        as_browsers: Remove the header's duration and frame rate: a browser that records a camera
            knows neither.
    """
    data = bytearray(path.read_bytes())
    times = iter(times_ms)
    for identity, start, content, end in list(_elements(data, 0, len(data))):
        if identity == _CLUSTER_TIME:
            data[content:end] = bytes(end - content)
        elif identity == _SIMPLE_BLOCK:
            data[content + 1 : content + 3] = next(times).to_bytes(2)
        elif as_browsers and identity in (_FRAME_DURATION, _DURATION):
            # An element of the same size that is skipped.
            data[start:end] = bytes([0xEC, 0x80 | (end - start - 2)]) + bytes(end - start - 2)
        elif identity == _DURATION:
            data[content:end] = struct.pack(">d", times_ms[-1] + 40.0)
    assert next(times, None) is None
    path.write_bytes(data)
    return path


def _elements(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    while start < end:
        identity, position = _number(data, start)
        size, content = _number(data, position)
        size -= 1 << (size.bit_length() - 1)
        if identity in _MASTERS:
            yield from _elements(data, content, content + size)
        else:
            yield identity, start, content, content + size
        start = content + size


def _number(data: bytearray, start: int) -> tuple[int, int]:
    end = start + 9 - data[start].bit_length()
    return int.from_bytes(data[start:end]), end
