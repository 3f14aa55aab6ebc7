"""The newest frame of a camera or a stream: what is older when it is asked for is dropped."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from emotion_ai.apps.watch.frames import (
    Frame,
    Recording,
    check_size,
    frame_count,
    frames_per_second,
)
from emotion_ai.apps.watch.opencv import opencv
from emotion_ai.errors import InputError, Unavailable

# How long a source may take to answer, and to give a frame.
_PATIENCE_MS = 10_000
# The reader wakes whoever waits; this only bounds how late a Ctrl-C is noticed.
_WAKE_S = 0.5
_FAREWELL_S = 2.0


class LiveSource:
    """A camera or a stream that has been opened, read by a thread of its own.

    `dropped` counts the frames that were not looked at because a newer one had come.
    """

    live = True
    duration_s = 0.0

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self.fps = frames_per_second(capture)
        self.dropped = 0
        self._capture = capture
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._ended = False
        self._closed = False
        self._reader: threading.Thread | None = None

    def frames(self, every: int) -> Iterator[Frame]:
        """The newest frame that has not been given, again and again, of each `every`-th that comes.

        Times are those of arrival. Raises `Unavailable` where the source ends or goes silent.
        """
        # A read may hang until the source's patience ends; nobody waits for that at the end.
        self._reader = threading.Thread(target=self._read, args=(every,), daemon=True)
        self._reader.start()
        time_s = 0.0
        while (frame := self._next()) is not None:
            time_s = frame.time_s
            yield frame
        raise Unavailable(f"{self.name}: gives no more pictures, after {time_s:.1f} s")

    def close(self) -> None:
        """Let go of the source, once it has given another frame or a little time has passed."""
        self._closed = True
        if self._reader is None:
            self._capture.release()
        else:
            # Python aborts where it ends while a thread comes back from OpenCV.
            self._reader.join(_FAREWELL_S)

    def _next(self) -> Frame | None:
        with self._news:
            while self._newest is None and not self._ended:
                self._news.wait(_WAKE_S)
            frame, self._newest = self._newest, None
            return frame

    def _read(self, every: int) -> None:
        try:
            for frame in self._arriving(every):
                self._offer(frame)
        finally:
            # What this thread reads from, no other may release.
            self._capture.release()
            with self._news:
                self._ended = True
                self._news.notify()

    def _arriving(self, every: int) -> Iterator[Frame]:
        number, start = -1, None
        while not self._closed and self._capture.grab():
            now = time.monotonic()
            start = now if start is None else start
            number += 1
            if number % every == 0:
                whole, image = self._capture.retrieve()
                if whole:
                    yield Frame(number, now - start, image)

    def _offer(self, frame: Frame) -> None:
        with self._news:
            self.dropped += self._newest is not None
            self._newest = frame
            self._news.notify()


def open_camera(which: int | Path) -> LiveSource:
    """A camera of this machine, by its number or device.

    Raises `InputError` where there is none of that name, and `Unavailable` where it gives nothing.
    """
    cv2 = opencv()
    name = f"camera {which}"
    device = Path(f"/dev/video{which}") if isinstance(which, int) else which
    if Path("/proc").exists() and not device.exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        raise InputError(f"{name}: there is no {device}; cameras here: {there}")
    capture = cv2.VideoCapture(which if isinstance(which, int) else str(which))
    _check(capture, name, "cannot be opened; another program may use it")
    return LiveSource(capture, name)


def open_address(address: str) -> LiveSource | Recording:
    """What an rtsp or http address gives: a stream, or a recording that has an end.

    Raises `Unavailable` where no video answers, `InputError` where its frames are out of bounds.
    """
    cv2 = opencv()
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE_MS]
    patience += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE_MS]
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, patience)
    name = without_secrets(address)
    _check(capture, name, "no video answers there")
    return Recording(capture, name) if frame_count(capture) else LiveSource(capture, name)


def without_secrets(address: str) -> str:
    """An address as it may be shown: without a user's name, a password, or a query."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _check(capture: Any, name: str, failure: str) -> None:
    if not capture.isOpened():
        raise Unavailable(f"{name}: {failure}")
    check_size(capture, name)
