"""How many pixels an encoded picture stands for, by its header: what decoding it will cost.

The model decodes pictures itself, and a file of some kilobytes can hold 16 million pixels. Only the
headers are read here. What is no picture counts as nothing: the model refuses or ignores it.
"""

import struct
from collections.abc import Sequence

# A request may stand for this many: eight pictures of the largest size that a release takes.
MAX_PIXELS = 1 << 27
# What a header that cannot be read is taken for: 4,096 pixels a side.
_UNKNOWN = 1 << 24
# Photographs have some twenty segments before their size.
_MAX_SEGMENTS = 64
# A progressive picture has some ten scans, each of which visits all of its pixels.
_USUAL_SCANS = 16
_PNG, _JPEG, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"GIF87a", b"GIF89a")
# Markers of frames (ITU T.81, table B.1), which are followed by the picture's size.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def count_pixels(pictures: Sequence[bytes]) -> list[int]:
    """Return the pixels of each picture; a repeated object is looked at once."""
    known: dict[int, int] = {}
    for picture in pictures:
        if id(picture) not in known:
            known[id(picture)] = _pixels(picture)
    return [known[id(picture)] for picture in pictures]


def _pixels(data: bytes) -> int:
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return int(width * height)
    if data.startswith(_JPEG):
        # 0xFFDA is never within the coded pixels.
        scans = data.count(b"\xff\xda")
        return _jpeg_pixels(data) * (1 + scans // _USUAL_SCANS)
    if data.startswith(_GIF) and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
        # A frame follows the zero that ends the block before it.
        return int(width * height) * max(1, data.count(b"\x00\x2c"))
    return 0


def _jpeg_pixels(data: bytes) -> int:
    position = 2
    for _ in range(_MAX_SEGMENTS):
        # Any number of 0xFF may come before a marker.
        if data[position : position + 1] != b"\xff" or len(data) < position + 9:
            break
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return int(width * height)
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return _UNKNOWN
