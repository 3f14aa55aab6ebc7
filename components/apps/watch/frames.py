"""Frames of a recorded video, in order and with their times; bounded before they are decoded."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.opencv import containers, opencv
from emotion_ai.errors import InputError
from emotion_ai.faces.picture_files import MAX_PIXELS, MIN_SIDE

# Where a file or a stream does not say how fast it is, or says what cannot be.
_USUAL_FPS, _HIGHEST_FPS = 25.0, 1_000.0
# A time further from the one before than this many seconds is a damaged file's.
_LONGEST_GAP_S = 3_600.0
# A video may be so much shorter than it says, and so many seconds besides.
_SHORTER, _SHORTER_S = 0.05, 0.5
# FFmpeg's names: https://ffmpeg.org/ffmpeg-formats.html.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,m4v,h264,hevc,ivf"
_EXPECTED = "expected a video: MP4, MOV, WebM, MKV, AVI, MPEG, FLV, WMV, OGG or GIF"


class Frame(NamedTuple):
    """Frame `number` from 0, seen `time_s` seconds after the first; uint8 [H, W, 3] BGR."""

    number: int
    time_s: float
    image: NDArray[np.uint8]


class Recording:
    """A video with an end, of which `capture` reads.

    `fps` are its frames a second, `duration_s` how long it says it is. Nothing is `dropped`.
    """

    live = False
    dropped = 0

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self.fps = frames_per_second(capture)
        self._capture = capture
        self._count = frame_count(capture)
        self.duration_s = self._count / self.fps

    def frames(self, every: int) -> Iterator[Frame]:
        """Each `every`-th frame, from the first on.

        Raises `InputError` at once where there is none, and after the last where the video is
        shorter than it says.
        """
        position = opencv().CAP_PROP_POS_MSEC
        number, time_s = -1, -1 / self.fps
        while self._capture.grab():
            number += 1
            time_s = self._next_time(time_s, self._capture.get(position) / 1000)
            if number % every == 0:
                whole, image = self._capture.retrieve()
                if whole:
                    yield Frame(number, time_s, image)
        self._check_end(number + 1, time_s + 1 / self.fps)

    def _check_end(self, frames: int, seconds: float) -> None:
        if not frames:
            raise InputError(f"{self.name}: no frame that can be read; {_EXPECTED}")
        # Either number may be an estimate: of frames in WebM, of their pace where it varies.
        fewer = frames < (1 - _SHORTER) * self._count - _SHORTER_S * self.fps
        if fewer and seconds < (1 - _SHORTER) * self.duration_s - _SHORTER_S:
            raise InputError(
                f"{self.name}: damaged, or cut short: ends after {seconds:.1f} s of the "
                f"{self.duration_s:.1f} s that it says it has"
            )

    def _next_time(self, before: float, told: float) -> float:
        if math.isfinite(told) and before < told <= before + _LONGEST_GAP_S:
            return told
        return before + 1 / self.fps

    def close(self) -> None:
        """Let go of the video."""
        self._capture.release()


def open_file(path: Path) -> Recording:
    """A video file; raises `InputError` where it is none that can be read."""
    cv2 = opencv()
    _check_file(path)
    with containers(_CONTAINERS):
        # An absolute path is no address, whatever its name looks like.
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"{path}: no video that can be read, or cut short; {_EXPECTED}")
    check_size(capture, str(path))
    return Recording(capture, str(path))


def check_size(capture: Any, name: str) -> None:
    """Raise `InputError` where the frames, as their header tells, are too large or too small."""
    cv2 = opencv()
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
        raise InputError(
            f"{name}: frames of {width}x{height} pixels; expected at least {MIN_SIDE} a side and "
            f"at most {MAX_PIXELS:,} in all"
        )


def frames_per_second(capture: Any) -> float:
    """What a video says, where that can be, else 25."""
    told = capture.get(opencv().CAP_PROP_FPS)
    return float(told) if 0 < told <= _HIGHEST_FPS else _USUAL_FPS


def frame_count(capture: Any) -> int:
    """How many frames a video says it has; 0 where it does not say, as a stream."""
    return int(max(0.0, capture.get(opencv().CAP_PROP_FRAME_COUNT)))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path}: this is a folder; {_EXPECTED}")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {_EXPECTED}") from None
    if empty:
        raise InputError(f"{path}: the file is empty; {_EXPECTED}")
