"""Videos of drawn faces, and a stream of them over HTTP, for tests and measurements."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.apps.watch.opencv import load_opencv, silence_stderr
from emotion_ai.sample.drawing import draw_faces

_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}


def drawn_faces(count: int, side: int, seed: int = 3) -> list[NDArray[np.uint8]]:
    """Drawn faces uint8 [side, side, 3]; each emotion once among seven."""
    faces = next(draw_faces(count, seed)).images
    sized = (Image.fromarray(face).resize((side, side)).convert("RGB") for face in faces)
    return [np.asarray(face) for face in sized]


def scene(
    faces: Iterable[tuple[NDArray[np.uint8], int, int]], width: int = 320, height: int = 240
) -> NDArray[np.uint8]:
    """A gray frame with faces at (left, top)."""
    frame = np.full((height, width, 3), 120, np.uint8)
    for face, left, top in faces:
        frame[top : top + len(face), left : left + face.shape[1]] = face
    return frame


def save_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Write frames as MPEG-4 (.mp4), Motion JPEG (.avi) or VP8 (.webm)."""
    cv2 = load_opencv()
    writer = None
    codec = cv2.VideoWriter_fourcc(*_CODECS[path.suffix])
    for frame in frames:
        if writer is None:
            size = (frame.shape[1], frame.shape[0])
            with silence_stderr():
                writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, fps, size)
            assert writer.isOpened()
        writer.write(frame)
    assert writer is not None
    writer.release()
    return path


def two_people(seconds: float, fps: float, side: int = 96) -> Iterator[NDArray[np.uint8]]:
    """One face that goes to and fro, another that stands; each changes its look every 2 seconds."""
    faces = drawn_faces(14, side)
    for number in range(round(seconds * fps)):
        time_s = number / fps
        mood = int(time_s // 2) % 7
        left = round(10 + 60 * abs(time_s % 4 / 2 - 1))
        yield scene([(faces[mood], left, 20), (faces[7 + mood], 200, 120)])


@contextlib.contextmanager
def streamed(
    frames: Callable[[], Iterable[NDArray[np.uint8]]], fps: float
) -> Iterator[tuple[str, threading.Event]]:
    """The address of a Motion JPEG stream that gives frames at their pace; set to end it."""
    ending = threading.Event()
    cv2 = load_opencv()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            start = time.monotonic()
            with contextlib.suppress(OSError):
                for number, frame in enumerate(frames()):
                    data = cv2.imencode(".jpg", frame)[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}"
                    self.wfile.write(head.encode() + b"\r\n\r\n" + data + b"\r\n")
                    if ending.wait(max(0.0, start + number / fps - time.monotonic())):
                        break
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream", ending
    finally:
        ending.set()
        server.shutdown()
        server.server_close()
