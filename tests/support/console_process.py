"""The console as a process, and what is put before it: photos and a camera of drawn faces."""

import contextlib
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

_LINE = re.compile(r"^console on (http://\S+/) ")
# Sides of the faces in a photo, and where they are: (left, top).
SIDE = 200
PLACES = ((60, 40), (330, 120))
_PAPER = 205


class Console(NamedTuple):
    """Its page's address, without the slash at the end, and its process."""

    url: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running_console(*arguments: str, **environment: str) -> Iterator[Console]:
    """Run the command until the block ends, without a browser unless it is given one."""
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
    # Or a console that hangs before its first line would be waited for without end.
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        match = _LINE.match(process.stdout.readline())
        timer.cancel()
        assert match is not None, process.communicate()
        yield Console(match[1].rstrip("/"), process)
    finally:
        timer.cancel()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def model_servers_of(console: Console) -> set[int]:
    """Process numbers of the children that serve the console's networks: proc(5)."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes()
            if (
                int(parent) == console.process.pid
                and b"emotion_ai.apps.console.embedded_server" in command
            ):
                found.add(int(folder.name))
    return found


def photo() -> bytes:
    """A PNG file of 600x360 gray pixels: two drawn faces at `PLACES`."""
    canvas = np.full((360, 600), _PAPER, np.uint8)
    for (left, top), face in zip(PLACES, _faces()[:2], strict=True):
        canvas[top : top + SIDE, left : left + SIDE] = face
    data = io.BytesIO()
    Image.fromarray(canvas).save(data, "PNG")
    return data.getvalue()


def write_video(path: Path) -> None:
    """Two drawn faces that sway, in YUV4MPEG2: what Chromium takes for a camera.

    The format: https://wiki.multimedia.cx/index.php/YUV4MPEG2.
    """
    width, height, frames = 480, 360, 20
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(frames):
            sway = round(12 * np.sin(2 * np.pi * number / frames))
            luma = np.full((height, width), _PAPER, np.uint8)
            for left, face in zip((30, 250), _faces()[:2], strict=True):
                luma[80 : 80 + SIDE, left + sway : left + sway + SIDE] = face
            chroma = bytes([128]) * (width * height // 2)
            file.write(b"FRAME\n" + luma.tobytes() + chroma)


def _faces() -> list[NDArray[np.uint8]]:
    """A surprised and a sad face, and others: [SIDE, SIDE]."""
    drawn = next(draw_faces(5, 1)).images[[0, 4]]
    size = (SIDE, SIDE)
    return [
        np.asarray(Image.fromarray(face).resize(size, Image.Resampling.BICUBIC)) for face in drawn
    ]
