"""Say within a video what it is for: OpenCV writes no metadata, so it is added when it is whole."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from emotion_ai.client.xmp import describe, xmp_packet

# The box of XMP in MP4 (XMP specification, part 3, 2.3.2.1).
_XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac")
# Elements of Matroska (RFC 9559).
_SEGMENT, _TAGS, _TAG, _TARGETS = "18538067", "1254c367", "7373", "63c0"
_SIMPLE_TAG, _TAG_NAME, _TAG_STRING = "67c8", "45a3", "4487"
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION, _VOID = "114d9b74", "4dbb", "53ab", "53ac", "ec"
# The first byte of a size of eight bytes; and how far into a file its index and segment begin.
_LONG, _MAX_HEAD = 0x01 << 56, 1_024


def add_notes(path: Path, about: Mapping[str, str]) -> None:
    """Add values by name to a whole .mp4 or .webm, as a description.

    Raises:
        OSError: It cannot be written.
    """
    if not about:
        return
    if path.suffix.lower() == ".mp4":
        _append_box(path, _XMP_BOX.bytes + xmp_packet(about))
    else:
        _append_tag(path, "DESCRIPTION", describe(about))


def _append_box(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write((8 + len(content)).to_bytes(4, "big") + b"uuid" + content)


def _append_tag(path: Path, name: str, text: str) -> None:
    tag = _element(_TAG_NAME, name.encode()) + _element(_TAG_STRING, text.encode())
    tags = _element(_TAGS, _element(_TAG, _element(_TARGETS, b"") + _element(_SIMPLE_TAG, tag)))
    with path.open("r+b") as file:
        head = file.read(_MAX_HEAD)
        place = head.find(bytes.fromhex(_SEGMENT)) + 4
        # Of the segment's content, whose end is where the tags go.
        size = int.from_bytes(head[place : place + 8], "big")
        position = _element(_SEEK_POSITION, (size - _LONG).to_bytes(8, "big"))
        seek = _element(_SEEK, _element(_SEEK_ID, bytes.fromhex(_TAGS)) + position)
        index = _element(_SEEK_HEAD, seek)
        # FFmpeg leaves room for more of its index, without which players do not look at the end.
        void = head.find(bytes.fromhex(_VOID) + b"\x01\x00")
        room = int.from_bytes(head[void + 1 : void + 9], "big") - _LONG - len(index)
        if void < 0 or room < 0:
            raise OSError("the video has no room for metadata")
        file.seek(void)
        file.write(index + _element(_VOID, bytes(room)))
        file.seek(place)
        file.write((size + len(tags)).to_bytes(8, "big"))
        file.seek(0, 2)
        file.write(tags)


def _element(name: str, content: bytes) -> bytes:
    return bytes.fromhex(name) + (_LONG | len(content)).to_bytes(8, "big") + content
