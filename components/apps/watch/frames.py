"""Read the frames of a recorded video, in order and by their own times, within bounds."""

import math
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.decoder_errors import DecoderErrors, listen_to_decoders
from emotion_ai.apps.watch.holes import Steps, contains_damage, may_begin_anywhere
from emotion_ai.apps.watch.opencv import CONTAINERS, check_name, load_opencv, open_capture
from emotion_ai.client.following import at_rate
from emotion_ai.client.images import read_image
from emotion_ai.errors import InputError
from emotion_ai.faces.picture_files import MAX_PIXELS, MIN_SIDE
from emotion_ai.storage.local import open_regular

# For a file or a stream whose header has no frame rate, or one that no camera has: for a browser's
# recording it is 1,000.
_DEFAULT_FPS, _MAX_FPS = 25.0, 240.0
# A larger step from one frame's time to the next is none of the recorded time; nor is one back. As
# many frames in a row that follow one begin a part with times of its own, fewer are misplaced.
_MAX_STEP_S, _MAX_MISPLACED = 3_600.0, 5
# A video may be shorter than its header says by this share and so many seconds.
_MISSING_SHARE, _MISSING_S = 0.05, 0.5
# After so many in a row, or so long, without a frame that can be decoded, a video has ended.
_MAX_UNDECODABLE, _MAX_UNDECODABLE_S = 20_000, 10.0
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


# Whether to take a frame, by its number and its time; asked once for each frame, in order.
Choice = Callable[[int, float], bool]


def every_nth(count: int) -> Choice:
    """Choose each `count`-th frame, beginning with the first."""
    return lambda number, _: number % count == 0


def per_second(rate: float) -> Choice:
    """Choose the first frame in each of `rate` equal parts of a second."""
    is_time = at_rate(rate)
    return lambda _, time_s: is_time(time_s)


class Recording:
    """A video with an end.

    Args:
        capture: An open `cv2.VideoCapture`.
        name: The video's name in messages.
        path: The file, if it is one.

    Attributes:
        fps: Frames per second, as the header says.
        duration_s: Seconds that the video lasts: according to its header, 0 if unknown, until the
            last frame was read; then to the end of that one.
        live: False.
        frame_total: How many frames the video has, once the last one was read; 0 until then.
        dropped: 0; all frames of a recording are read.
    """

    live = False
    dropped = 0

    def __init__(self, capture: Any, name: str, path: Path | None = None) -> None:
        self.name = name
        self.fps = frames_per_second(capture)
        self._capture = capture
        self._path = path
        self._is_part = path is None or may_begin_anywhere(path)
        self._count = frame_count(capture)
        # The count may be the product of the duration and the rate, whatever they are.
        reported_fps = capture.get(load_opencv().CAP_PROP_FPS)
        self.duration_s = self._count / reported_fps if reported_fps > 0 else 0.0
        self.frame_total = 0
        self._undecodable = 0
        self._faulty = 0
        # Added to the file's times.
        self._offset_s = 0.0
        self._misplaced = 0

    def frames(self, choose: Choice) -> Iterator[Frame]:
        """Read the frames that are chosen, with the times that they have in the file.

        Raises:
            InputError: There is no frame; or, after the last one, the video is shorter than its
                header says, or frames are missing or damaged within it.
        """
        with listen_to_decoders() as errors:
            yield from self._read(choose, errors)

    def _read(self, choose: Choice, errors: DecoderErrors) -> Iterator[Frame]:
        position = load_opencv().CAP_PROP_POS_MSEC
        number, time_s = -1, -1 / self.fps
        steps = Steps(self.fps)
        before = 0
        while self._grab():
            number += 1
            # A part of a video may begin with frames that need earlier ones.
            self._undecodable *= number > 0
            self._faulty += errors.count > before and (number > 0 or not self._is_part)
            before = errors.count
            previous_s, time_s = (
                time_s,
                self._next_time(time_s, self._capture.get(position) / 1000, number),
            )
            if number:
                steps.add(previous_s, time_s)
            if choose(number, time_s):
                decoded, image = self._capture.retrieve()
                if decoded:
                    yield Frame(number, time_s, image)
        self.frame_total = number + 1
        end_s = time_s + 1 / self.fps
        self._check_end(self.frame_total, end_s)
        self.duration_s = end_s
        self._check_holes(steps)

    def _grab(self) -> bool:
        """Go to the next frame; behind those that cannot be decoded, if another one comes."""
        deadline = time.monotonic() + _MAX_UNDECODABLE_S
        for failures in range(min(self._count, _MAX_UNDECODABLE) + 1):
            if self._capture.grab():
                self._undecodable += failures
                return True
            if time.monotonic() > deadline:
                break
        return False

    def _check_end(self, frames: int, seconds: float) -> None:
        if not frames:
            _reject_picture(self._path)
            raise InputError(f"{self.name}: no frame that can be read; {_EXPECTED}")
        # Either may be an estimate: the frame count in WebM, the duration at a variable frame rate.
        fewer = frames < (1 - _MISSING_SHARE) * self._count - _MISSING_S * self.fps
        if fewer and seconds < (1 - _MISSING_SHARE) * self.duration_s - _MISSING_S:
            raise InputError(
                f"{self.name}: damaged, or cut short: ends after {seconds:.1f} s of the "
                f"{self.duration_s:.1f} s in its header"
            )

    def _check_holes(self, steps: Steps) -> None:
        damaged = self._path is not None and contains_damage(self._path, steps)
        if self._undecodable or damaged:
            lost = f", {self._undecodable:,} that cannot be decoded" if self._undecodable else ""
            raise InputError(
                f"{self.name}: damaged: frames are missing{lost}; the longest time without one is "
                f"from {steps.longest_from_s:.1f} s to {steps.longest_to_s:.1f} s"
            )
        if self._faulty:
            raise InputError(
                f"{self.name}: damaged: at {self._faulty:,} of {self.frame_total:,} frames the "
                "decoder met an error; in those and the ones after them faces may be missing"
            )

    def _next_time(self, previous_s: float, reported_s: float, number: int) -> float:
        if not math.isfinite(reported_s):
            return previous_s + 1 / self.fps
        if not number:
            self._offset_s = -reported_s
        time_s = reported_s + self._offset_s
        if previous_s < time_s <= previous_s + _MAX_STEP_S:
            self._misplaced = 0
            return time_s
        self._misplaced += 1
        following_s = previous_s + 1 / self.fps
        if self._misplaced >= _MAX_MISPLACED:
            self._offset_s += following_s - time_s
        return following_s

    def close(self) -> None:
        """Close the video."""
        self._capture.release()


def open_file(path: Path) -> Recording:
    """Open a video file; raise `InputError` where it cannot be read."""
    load_opencv()
    _check_file(path)
    # A relative path could be taken for an address.
    limits = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    capture = open_capture(str(path.absolute()), limits)
    if not capture.isOpened():
        _reject_picture(path)
        raise InputError(f"{path}: no video that can be read, or cut short; {_EXPECTED}")
    check_size(capture, str(path))
    return Recording(capture, str(path), path)


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
    check_name(path)
    try:
        with open_regular(path) as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {_EXPECTED}") from None
    if empty:
        raise InputError(f"{path}: the file is empty; {_EXPECTED}")


def _reject_picture(path: Path | None) -> None:
    """Raise `InputError` where a file that is no video is a picture that `predict` reads."""
    if path is None:
        return
    try:
        read_image(path)
    except InputError:
        return
    command = f"emotion-ai predict {shlex.quote(str(path))}"
    raise InputError(f"{path}: this is a picture, no video; `{command}` reads it")
