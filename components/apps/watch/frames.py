"""Read the frames of a recorded video, in order and with their times, within bounds."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.opencv import allow_containers, load_opencv
from emotion_ai.errors import InputError
from emotion_ai.faces.picture_files import MAX_PIXELS, MIN_SIDE

# For a file or a stream whose header has no frame rate, or an invalid one.
_DEFAULT_FPS, _MAX_FPS = 25.0, 1_000.0
# A larger step from one frame's time to the next means a damaged file.
_MAX_GAP_S = 3_600.0
# A video may be shorter than its header says by this share and so many seconds.
_MISSING_SHARE, _MISSING_S = 0.05, 0.5
# FFmpeg's names: https://ffmpeg.org/ffmpeg-formats.html.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,gif,m4v,h264,hevc,ivf"
_EXPECTED = "expected a video: MP4, MOV, WebM, MKV, AVI, MPEG, FLV, WMV, OGG or GIF"


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: The frame's number from 0.
        time_s: Seconds since the first frame.
        image: uint8 [H, W, 3] BGR.
    """

    number: int
    time_s: float
    image: NDArray[np.uint8]


class Recording:
    """A video with an end.

    Args:
        capture: An open `cv2.VideoCapture`.
        name: The video's name in messages.

    Attributes:
        fps: Frames per second.
        duration_s: Seconds that the video lasts according to its header; 0 if unknown.
        live: False.
        frame_total: How many frames the video has, once the last one was read; 0 until then.
        dropped: 0; all frames of a recording are read.
    """

    live = False
    dropped = 0

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self.fps = frames_per_second(capture)
        self._capture = capture
        self._count = frame_count(capture)
        self.duration_s = self._count / self.fps
        self.frame_total = 0

    def frames(self, every: int) -> Iterator[Frame]:
        """Read every `every`-th frame, beginning with the first.

        Raises:
            InputError: There is no frame; or, after the last one, the video is shorter than its
                header says.
        """
        position = load_opencv().CAP_PROP_POS_MSEC
        number, time_s = -1, -1 / self.fps
        while self._capture.grab():
            number += 1
            time_s = self._next_time(time_s, self._capture.get(position) / 1000)
            if number % every == 0:
                decoded, image = self._capture.retrieve()
                if decoded:
                    yield Frame(number, time_s, image)
        self.frame_total = number + 1
        self._check_end(self.frame_total, time_s + 1 / self.fps)

    def _check_end(self, frames: int, seconds: float) -> None:
        if not frames:
            raise InputError(f"{self.name}: no frame that can be read; {_EXPECTED}")
        # Either may be an estimate: the frame count in WebM, the duration at a variable frame rate.
        fewer = frames < (1 - _MISSING_SHARE) * self._count - _MISSING_S * self.fps
        if fewer and seconds < (1 - _MISSING_SHARE) * self.duration_s - _MISSING_S:
            raise InputError(
                f"{self.name}: damaged, or cut short: ends after {seconds:.1f} s of the "
                f"{self.duration_s:.1f} s in its header"
            )

    def _next_time(self, previous_s: float, reported_s: float) -> float:
        if math.isfinite(reported_s) and previous_s < reported_s <= previous_s + _MAX_GAP_S:
            return reported_s
        return previous_s + 1 / self.fps

    def close(self) -> None:
        """Close the video."""
        self._capture.release()


def open_file(path: Path) -> Recording:
    """Open a video file; raise `InputError` where it cannot be read."""
    cv2 = load_opencv()
    _check_file(path)
    with allow_containers(_CONTAINERS):
        # A relative path could be taken for an address.
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise InputError(f"{path}: no video that can be read, or cut short; {_EXPECTED}")
    check_size(capture, str(path))
    return Recording(capture, str(path))


def check_size(capture: Any, name: str) -> None:
    """Raise `InputError` where the header states frames that are too large or too small."""
    cv2 = load_opencv()
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
        raise InputError(
            f"{name}: frames of {width}x{height} pixels; expected at least {MIN_SIDE} a side and "
            f"at most {MAX_PIXELS:,} in all"
        )


def frames_per_second(capture: Any) -> float:
    """Return the header's frame rate where it is valid, else 25."""
    reported = capture.get(load_opencv().CAP_PROP_FPS)
    return float(reported) if 0 < reported <= _MAX_FPS else _DEFAULT_FPS


def frame_count(capture: Any) -> int:
    """Return the header's number of frames; 0 where it has none, as a stream."""
    return int(max(0.0, capture.get(load_opencv().CAP_PROP_FRAME_COUNT)))


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
