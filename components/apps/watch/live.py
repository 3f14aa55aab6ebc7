"""Read the newest frame of a camera or a stream; older ones are dropped."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai.apps.watch.frames import Choice, Frame, check_size, frames_per_second
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.errors import InputError, Unavailable

# Bounds how late a Ctrl-C is noticed; a new frame ends the wait anyway.
_POLL_S = 0.5
_CLOSE_TIMEOUT_S = 2.0


class LiveSource:
    """A camera or a stream, read by a background thread.

    Args:
        capture: An open `cv2.VideoCapture`.
        name: The source's name in messages.

    Attributes:
        fps: Frames per second.
        duration_s: 0; a live source has no known end.
        live: True.
        frame_total: 0, as for `duration_s`.
        dropped: How many frames were replaced by a newer one before they were taken.
    """

    live = True
    duration_s = 0.0
    frame_total = 0

    def __init__(self, capture: Any, name: str) -> None:
        self.name = name
        self.fps = frames_per_second(capture)
        self.dropped = 0
        self._capture = capture
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._ended = False
        self._closed = False
        self._reader: threading.Thread | None = None

    def frames(self, choose: Choice) -> Iterator[Frame]:
        """Yield the newest frame since the last one, of those that arrive and are chosen.

        Times are those of arrival.

        Raises:
            Unavailable: The source ended or sends no more frames.
        """
        # A daemon: a read may block until the source's timeout, which must not delay the exit.
        self._reader = threading.Thread(target=self._read, args=(choose,), daemon=True)
        self._reader.start()
        time_s = 0.0
        while (frame := self._next()) is not None:
            time_s = frame.time_s
            yield frame
        raise Unavailable(f"{self.name}: sends no more frames, after {time_s:.1f} s")

    def close(self) -> None:
        """Close the source, after its next frame or a short timeout."""
        self._closed = True
        if self._reader is None:
            self._capture.release()
        else:
            # Python aborts if it exits while a thread returns from OpenCV.
            self._reader.join(_CLOSE_TIMEOUT_S)

    def _next(self) -> Frame | None:
        with self._changed:
            while self._newest is None and not self._ended:
                self._changed.wait(_POLL_S)
            frame, self._newest = self._newest, None
            return frame

    def _read(self, choose: Choice) -> None:
        try:
            for frame in self._capture_frames(choose):
                self._publish(frame)
        finally:
            # Only the thread that reads may release the capture.
            self._capture.release()
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _capture_frames(self, choose: Choice) -> Iterator[Frame]:
        number, start = -1, None
        while not self._closed and self._capture.grab():
            now = time.monotonic()
            start = now if start is None else start
            number += 1
            if choose(number, now - start):
                decoded, image = self._capture.retrieve()
                if decoded:
                    yield Frame(number, now - start, image)

    def _publish(self, frame: Frame) -> None:
        with self._changed:
            self.dropped += self._newest is not None
            self._newest = frame
            self._changed.notify()


def open_camera(camera: int | Path) -> LiveSource:
    """Open a camera of this machine.

    Args:
        camera: Its number or device.

    Returns:
        The camera.

    Raises:
        InputError: There is no such camera.
        Unavailable: It cannot be opened.
    """
    cv2 = load_opencv()
    name = f"camera {camera}"
    device = Path(f"/dev/video{camera}") if isinstance(camera, int) else camera
    if Path("/proc").exists() and not device.exists():
        found = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        raise InputError(f"{name}: there is no {device}; cameras here: {found}")
    capture = cv2.VideoCapture(camera if isinstance(camera, int) else str(camera))
    if not capture.isOpened():
        raise Unavailable(f"{name}: cannot be opened; another program may use it")
    check_size(capture, name)
    return LiveSource(capture, name)
