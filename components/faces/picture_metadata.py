"""Pictures whose metadata is damaged and whose pixels are whole: turn them, or leave it out."""

import zlib
from collections.abc import Iterator

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_START_OF_SCAN = 0xDA
_COMMENT = 0xFE
_APP0, _APP1, _APP14, _APP15 = 0xE0, 0xE1, 0xEE, 0xEF


def turn_upright(picture: Image.Image) -> Image.Image:
    """Return a copy turned as its EXIF orientation says, or as it is if that cannot be read."""
    # Before the orientation is read: Pillow turns a TIFF itself, and then says so.
    picture.load()
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Pillow's reader of EXIF raises all kinds of exceptions on damaged metadata.
        turn = None
    return picture.copy() if turn is None else picture.transpose(turn)


def without_metadata(data: bytes) -> bytes:
    """Return a PNG or JPEG with its pixels, transparency and whole EXIF alone; others unchanged."""
    if data.startswith(_PNG):
        return _PNG + b"".join(_needed_chunks(data))
    if data.startswith(_JPEG):
        return _JPEG + b"".join(_needed_segments(data))
    return data


def _needed_chunks(data: bytes) -> Iterator[bytes]:
    """Yield a PNG's chunks that the pixels need; an ancillary one begins with a small letter."""
    start = len(_PNG)
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        chunk = data[start:end]
        kind, checksum = chunk[4:8], int.from_bytes(chunk[-4:], "big")
        is_whole_exif = kind == b"eXIf" and zlib.crc32(chunk[4:-4]) == checksum
        if kind[:1].isupper() or kind == b"tRNS" or is_whole_exif:
            yield chunk
        start = end


def _needed_segments(data: bytes) -> Iterator[bytes]:
    """Yield a JPEG's segments without comments and those of programs, but Adobe's and EXIF."""
    start = len(_JPEG)
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] != _START_OF_SCAN:
        marker = data[start + 1]
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        is_metadata = marker == _COMMENT or _APP0 <= marker <= _APP15
        # Adobe's says how the colours are stored.
        if not is_metadata or marker in (_APP1, _APP14):
            yield data[start:end]
        start = end
    yield data[start:]
