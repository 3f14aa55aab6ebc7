"""Find where a Matroska or WebM file is damaged, as FFmpeg skips such places without a word."""

from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"\x1a\x45\xdf\xa3"
# https://www.rfc-editor.org/rfc/rfc9559.html#name-matroska-schema
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_TOP_LEVEL = {0x1A45DFA3, 0x114D9B74, 0x1549A966, 0x1654AE6B}
_TOP_LEVEL |= {0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367}
_IN_CLUSTER = {0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF}
_VOID, _CRC = 0xEC, 0xBF
_KNOWN = _TOP_LEVEL | _IN_CLUSTER | {_SEGMENT, _CLUSTER, _VOID, _CRC}
_CHUNK_BYTES = 1 << 20


def find_damage(path: Path) -> int | None:
    """Return where a file's structure breaks before its last cluster; None where it does not.

    Data that is damaged within a frame is not found, nor is an end that is cut off.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        position = _first_size(file)
        while position < size:
            end = _element_end(file, position)
            if end is None or end > size:
                cluster = _CLUSTER.to_bytes(4)
                return position if _contains(file, cluster, position + 1) else None
            position = end
    return None


def _first_size(file: BinaryIO) -> int:
    """Return where the file's first element, its EBML header, ends."""
    file.seek(len(SIGNATURE))
    return _read_size(file) + file.tell()


def _element_end(file: BinaryIO, position: int) -> int | None:
    """Return where the next element begins: within this one if it holds others; None if invalid."""
    file.seek(position)
    identity = _read_number(file)
    if identity not in _KNOWN:
        return None
    size = _read_size(file)
    # These may be of unknown size: their parts are walked as if they were beside them.
    return file.tell() if identity in (_SEGMENT, _CLUSTER) else file.tell() + size


def _read_size(file: BinaryIO) -> int:
    number = _read_number(file)
    # Its highest bit only tells how many bytes it has.
    return number - (1 << number.bit_length() >> 1)


def _read_number(file: BinaryIO) -> int:
    """Read an EBML number of variable length; 0 if there is none."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    return int.from_bytes(first + file.read(8 - first[0].bit_length()))


def _contains(file: BinaryIO, pattern: bytes, position: int) -> bool:
    file.seek(position)
    before = b""
    while chunk := file.read(_CHUNK_BYTES):
        if pattern in before + chunk:
            return True
        before = chunk[-len(pattern) + 1 :]
    return False
