"""Measure what watching a video costs.

    make bench NAME=watch ARGS="[HOST:PORT] [--seconds 8] [--faces yunet:640]"

Needs a running model server (127.0.0.1:8500 by default). Generates a video of 1280x720 at 25 frames
a second with two drawn faces. Prints the frames per second of the whole command, with every frame
analysed and with five a second, with and without an annotated copy; then each part by itself, in
milliseconds, the minimum and the median over the frames.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.annotation import open_annotator
from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.emotion_bins import EmotionBins
from emotion_ai.apps.watch.frames import every_nth, open_file
from emotion_ai.apps.watch.timeline import open_timeline
from emotion_ai.client.client import Client
from emotion_ai.client.cropping import crop_faces
from emotion_ai.client.tracking import Tracker

from support.photographs import landscapes
from support.videos import drawn_faces, save_video

FPS, WIDTH, HEIGHT, SIDE = 25.0, 1280, 720, 260


def frames(seconds: float) -> Iterator[NDArray[np.uint8]]:
    """Two faces that move over a landscape."""
    ground = np.asarray(Image.fromarray(landscapes()[0]).resize((WIDTH, HEIGHT)))[..., ::-1]
    faces = drawn_faces(14, SIDE)
    for number in range(round(seconds * FPS)):
        frame = ground.copy()
        for face, left in ((faces[number // 50 % 7], 80), (faces[7 + number // 50 % 7], 700)):
            x, y = left + number % 100, 200 + number % 60
            frame[y : y + SIDE, x : x + SIDE] = face
        yield frame


def cost(action: Callable[[int], Any], times: int) -> tuple[float, float]:
    """Milliseconds: the smallest and the median."""
    spent = []
    for number in range(times):
        start = time.perf_counter()
        action(number)
        spent.append(1000 * (time.perf_counter() - start))
    return min(spent), statistics.median(spent)


def parts(video: Path, client: Client, folder: Path, times: int) -> dict[str, tuple[float, float]]:
    """Each part of the way by itself."""
    file = open_file(video)
    stream = file.frames(every_nth(1))
    read = [next(stream) for _ in range(times)]
    file.close()
    again = open_file(video).frames(every_nth(1))
    costs = {"read a frame": cost(lambda k: next(again), times)}
    images = [np.ascontiguousarray(frame.image[..., ::-1]) for frame in read]
    detector = client.detector
    costs["find its faces"] = cost(lambda k: detector.find_faces(images[k]), times)
    boxes = [detector.find_faces(image) for image in images]
    costs["cut them out"] = cost(lambda k: crop_faces(images[k], boxes[k], detector.framing), times)
    crops, _ = crop_faces(images[0], boxes[0], detector.framing)
    costs["ask the server"] = cost(lambda k: client.predict_arrays(crops), times)
    tracker = Tracker()
    costs["track them"] = cost(lambda k: tracker.update(boxes[k], k / FPS), times)
    faces = [client.predict(image, boxes=found) for image, found in zip(images, boxes, strict=True)]
    looks = [
        FrameResult(frame, tuple(map(TrackedFace, range(1, len(found) + 1), found)))
        for frame, found in zip(read, faces, strict=True)
    ]
    bins = EmotionBins()
    costs["sum up for the plot"] = cost(lambda k: bins.add(looks[k]), times)
    for suffix in (".csv", ".parquet"):
        with open_timeline(folder / f"rows{suffix}") as timeline:
            costs[f"write rows, {suffix}"] = cost(lambda k: timeline.add(looks[k]), times)
    for suffix in (".mp4", ".webm"):
        with open_annotator(folder / f"drawn{suffix}", FPS) as annotator:
            costs[f"draw and write, {suffix}"] = cost(lambda k: annotator.add(looks[k]), times)
    return costs


def rates(video: Path, client: Client, folder: Path, count: int) -> dict[str, float]:
    """Frames of the video a second of the clock."""
    timeline = Outputs(folder / "faces.parquet", folder / "faces.png")
    drawn = Outputs(folder / "faces.parquet", folder / "faces.png", folder / "faces.mp4")
    ways = {
        "five looks a second": (timeline, None),
        "each frame": (timeline, 1),
        "five looks a second, and --annotate": (drawn, None),
        "each frame, and --annotate": (drawn, 1),
    }
    told = {}
    for name, (outputs, every) in ways.items():
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            watch(str(video), client, outputs, every)
        told[name] = count / (time.perf_counter() - start)
    return told


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", nargs="?", default="127.0.0.1:8500", help="HOST:PORT")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--faces", default="yunet:640")
    options = parser.parse_args()
    count = round(options.seconds * FPS)
    with tempfile.TemporaryDirectory() as name, Client(options.server, options.faces) as client:
        folder = Path(name)
        video = save_video(folder / "video.mp4", frames(options.seconds), FPS)
        watched = rates(video, client, folder, count)
        costs = parts(video, client, folder, min(count, 60))
    whole = Table("1280x720, two faces", "frames/s", "times real time")
    for name, rate in watched.items():
        whole.add_row(name, f"{rate:.0f}", f"{rate / FPS:.1f}")
    alone = Table("part", "least ms", "median ms")
    for name, (least, median) in costs.items():
        alone.add_row(name, f"{least:.2f}", f"{median:.2f}")
    console = Console(width=100)
    console.print(whole)
    console.print(alone)


if __name__ == "__main__":
    main()
