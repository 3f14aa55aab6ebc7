"""Run the console as a process, and make photos and a camera video of drawn faces for it."""

import contextlib
import functools
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.sample.drawing import draw_faces

_ADDRESS_LINE = re.compile(r"^console on (http://\S+/) ")
# Side of the faces in a photo, and their (left, top).
SIDE = 200
PLACES = ((60, 40), (330, 120))
_BACKGROUND = 205


class Console(NamedTuple):
    """The page's address, without a slash at the end, and the process."""

    url: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running_console(*arguments: str, **environment: str) -> Iterator[Console]:
    """Run the command for the length of the block; BROWSER makes it open a browser."""
    browser = [] if "BROWSER" in environment else ["--no-browser"]
    command = [
        sys.executable,
        "-m",
        "emotion_ai.pipeline.cli",
        "console",
        *browser,
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A console that hangs before its first line must not block the test.
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        match = _ADDRESS_LINE.match(process.stdout.readline())
        timer.cancel()
        assert match is not None, process.communicate()
        yield Console(match[1].rstrip("/"), process)
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@functools.cache
def photo() -> bytes:
    """Draw two faces at `PLACES`, as a PNG file of 600x360 gray pixels."""
    canvas = np.full((360, 600), _BACKGROUND, np.uint8)
    for (left, top), face in zip(PLACES, _faces()[:2], strict=True):
        canvas[top : top + SIDE, left : left + SIDE] = face
    data = io.BytesIO()
    Image.fromarray(canvas).save(data, "PNG")
    return data.getvalue()


def write_video(path: Path) -> None:
    """Write a video of two drawn faces that sway, as YUV4MPEG2, for Chromium's fake camera.

    The format: https://wiki.multimedia.cx/index.php/YUV4MPEG2.
    """
    width, height, frames = 480, 360, 20
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(frames):
            sway = round(12 * np.sin(2 * np.pi * number / frames))
            luma = np.full((height, width), _BACKGROUND, np.uint8)
            for left, face in zip((30, 250), _faces()[:2], strict=True):
                luma[80 : 80 + SIDE, left + sway : left + sway + SIDE] = face
            chroma = bytes([128]) * (width * height // 2)
            file.write(b"FRAME\n" + luma.tobytes() + chroma)


def _faces() -> list[NDArray[np.uint8]]:
    """Draw a surprised and a sad face, each [SIDE, SIDE]."""
    drawn = next(draw_faces(5, 1)).images[[0, 4]]
    size = (SIDE, SIDE)
    return [
        np.asarray(Image.fromarray(face).resize(size, Image.Resampling.BICUBIC)) for face in drawn
    ]
