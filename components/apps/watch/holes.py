"""Tell videos that lost frames in their middle from those that are slow or pause there."""

from dataclasses import dataclass
from pathlib import Path

from emotion_ai.apps.watch.matroska import SIGNATURE, find_damage

# How files begin whose frames come at a constant rate, besides MPEG-TS: MPEG-PS, FLV and WMV.
_MPEG_PS = b"\x00\x00\x01\xba"
_CONSTANT_RATE = (_MPEG_PS, b"FLV", b"\x30\x26\xb2\x75")
_TS_SYNC, _TS_PACKET_BYTES = b"\x47", 188
# A step from frame to frame is regular within this share of the header's.
_REGULAR_SHARE = 0.5
# In a file whose frames are regular but for so few of them, a step as long as this is a hole.
_MAX_IRREGULAR, _MIN_HOLE_S = 0.05, 0.5


@dataclass
class Steps:
    """The times from each frame to the next.

    Attributes:
        fps: Frames per second, as the header says.
        longest_from_s: Where the longest begins.
        longest_to_s: Where the longest ends.
    """

    fps: float
    longest_from_s: float = 0.0
    longest_to_s: float = 0.0
    _count: int = 0
    _irregular: int = 0

    def add(self, from_s: float, to_s: float) -> None:
        """Add the time from one frame to the next."""
        self._count += 1
        self._irregular += abs((to_s - from_s) * self.fps - 1) > _REGULAR_SHARE
        if to_s - from_s > self.longest_to_s - self.longest_from_s:
            self.longest_from_s, self.longest_to_s = from_s, to_s

    def break_off(self) -> bool:
        """Whether the frames are regular but for a hole."""
        longest_s = self.longest_to_s - self.longest_from_s
        regular = self._irregular <= _MAX_IRREGULAR * self._count
        return regular and longest_s > max(_MIN_HOLE_S, 3 / self.fps)


def contains_damage(path: Path, steps: Steps) -> bool:
    """Whether frames are missing within a file that FFmpeg read to its end without an error.

    Args:
        path: The file.
        steps: The times between its frames. They alone prove nothing in GIF, MP4 and WebM, whose
            rate may vary: nothing moves, and no frame is written.

    Returns:
        True if the file's structure is broken, where that is known; else if the frames' times are.
    """
    start = _read_start(path)
    if start.startswith(SIGNATURE):
        return find_damage(path) is not None
    return (_is_ts(start) or start.startswith(_CONSTANT_RATE)) and steps.break_off()


def may_begin_anywhere(path: Path) -> bool:
    """Whether a file's format may be cut anywhere: its first frames may need earlier ones."""
    start = _read_start(path)
    return _is_ts(start) or start.startswith(_MPEG_PS)


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_TS_PACKET_BYTES + 1)


def _is_ts(start: bytes) -> bool:
    return start.startswith(_TS_SYNC) and start.endswith(_TS_SYNC)
