"""Videos of drawn faces, and an HTTP stream of them."""

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

# Frames per second of the tests' videos.
FPS = 10.0
_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".webm": "VP80", ".mkv": "MJPG"}
_CODECS |= {".ts": "mpg2", ".mpg": "mpg1", ".flv": "FLV1", ".wmv": "WMV2"}


def drawn_faces(count: int, side: int, seed: int = 3) -> list[NDArray[np.uint8]]:
    """Draw faces, uint8 [side, side, 3]; among seven in a row each emotion occurs once."""
    faces = next(draw_faces(count, seed)).images
    resized = (Image.fromarray(face).resize((side, side)).convert("RGB") for face in faces)
    return [np.asarray(face) for face in resized]


def scene(
    faces: Iterable[tuple[NDArray[np.uint8], int, int]], width: int = 320, height: int = 240
) -> NDArray[np.uint8]:
    """Draw a gray frame with faces at (left, top)."""
    frame = np.full((height, width, 3), 120, np.uint8)
    for face, left, top in faces:
        frame[top : top + len(face), left : left + face.shape[1]] = face
    return frame


def save_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float) -> Path:
    """Write frames with a codec that the container usually has."""
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
    """Draw a face that moves left and right and one at rest; their emotions change every 2 s."""
    faces = drawn_faces(14, side)
    for number in range(round(seconds * fps)):
        time_s = number / fps
        emotion = int(time_s // 2) % 7
        left = round(10 + 60 * abs(time_s % 4 / 2 - 1))
        yield scene([(faces[emotion], left, 20), (faces[7 + emotion], 200, 120)])


@contextlib.contextmanager
def serve_stream(
    frames: Callable[[], Iterable[NDArray[np.uint8]]], fps: float
) -> Iterator[tuple[str, threading.Event]]:
    """Serve frames as Motion JPEG at this rate; yields the address, and an event that ends it."""
    end = threading.Event()
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
                    if end.wait(max(0.0, start + number / fps - time.monotonic())):
                        break
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream", end
    finally:
        end.set()
        server.shutdown()
        server.server_close()


def partial_outputs(folder: Path) -> list[str]:
    """List the names of unfinished outputs of `watch` in a folder."""
    return [path.name for path in folder.iterdir() if ".partial" in path.name]
