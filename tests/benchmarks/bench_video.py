"""Measure how fast and how exactly faces are followed through a video of 1280x720.

    make bench NAME=video ARGS="[--seconds 20] [--faces yunet] [--server HOST:PORT]"

Makes a video at 30 frames a second from two photographs: heads that move, tilt, come nearer and
cross, one that leaves and comes back, and two cuts. With the pretrained networks in this process,
or a server's, it prints

- frames a second of the whole command, and the processor's milliseconds for a frame, where faces
  are detected in each frame and where they are followed between detections;
- how near the followed boxes are to those of a detector in each frame, and which are lost or
  invented, over the frames in which nothing was detected;
- what each part takes of the processor, in milliseconds.
"""

import argparse
import contextlib
import io
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from emotion_ai.apps.watch.analysis import FrameResult, TrackedFace
from emotion_ai.apps.watch.annotation import open_annotator
from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import every_nth, open_file
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.apps.watch.timeline import open_timeline
from emotion_ai.client.analyzer import Analyzer
from emotion_ai.client.client import Client
from emotion_ai.client.cropping import crop_faces
from emotion_ai.client.following import Follower, overlap
from emotion_ai.client.predictor import Predictor
from emotion_ai.client.results import Box

from support.moving_faces import Place, draw_heads, ground, heads
from support.videos import save_video

FPS, WIDTH, HEIGHT = 30.0, 1280, 720
# A face is the same as another one where they overlap by more than this.
SAME = 0.4
PARTS_OF = 24


class Cost(NamedTuple):
    """Frames a second of the clock, and the processor's milliseconds for one."""

    rate: float
    cpu_ms: float


class Seen(NamedTuple):
    """A row of a timeline."""

    track: int
    box: Box
    emotion: str


def frames(seconds: float) -> Iterator[NDArray[np.uint8]]:
    """Two heads that move, in three scenes; a camera's noise."""
    noise = np.random.default_rng(1).normal(0, 2, (HEIGHT + 64, WIDTH + 64, 1))
    noise = np.rint(noise).astype(np.int16)
    count = round(seconds * FPS)
    for number in range(count):
        time_s, scene = number / FPS, 3 * number // count
        first = Place(
            400 + 220 * math.sin(1.1 * time_s),
            380 + 60 * math.sin(2.3 * time_s),
            330 + 60 * math.sin(0.7 * time_s),
            12 * math.sin(1.7 * time_s),
        )
        second = Place(
            # Beyond the right edge for a while.
            1050 + 340 * math.sin(0.5 * time_s),
            350 + 50 * math.sin(1.9 * time_s + 1),
            360 + 40 * math.sin(0.9 * time_s),
            10 * math.sin(1.3 * time_s + 2),
        )
        if scene == 1:
            # They change places, and meet.
            first, second = (first._replace(x=WIDTH - first.x), second._replace(x=WIDTH - second.x))
        placed = list(zip(heads(), (first, second), strict=True))
        picture = draw_heads(ground(WIDTH, HEIGHT, scene % 2), placed)
        y, x = np.random.default_rng(number).integers(0, 64, 2)
        noisy = picture + noise[y : y + HEIGHT, x : x + WIDTH]
        yield noisy.clip(0, 255).astype(np.uint8)[..., ::-1]


def run(video: Path, predictor: Predictor, outputs: Outputs, every: int | None) -> Cost:
    """Watch the video."""
    count = sum(1 for _ in open_file(video).frames(every_nth(1)))
    start, cpu_start = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        watch(str(video), predictor, outputs, every)
    passed, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    return Cost(count / passed, 1000 * cpu / count)


def compare_speed(video: Path, predictor: Predictor, folder: Path) -> Table:
    """Watch in different ways, first detecting in each frame."""
    always, followed = folder / "always.parquet", folder / "followed.parquet"
    with mock.patch.object(Follower, "is_due", return_value=True):
        costs = {"each frame, faces detected in each": run(video, predictor, Outputs(always), 1)}
    ways: dict[str, tuple[Outputs, int | None]] = {
        "each frame, faces followed": (Outputs(followed), 1),
        "  and --annotate .mp4": (Outputs(folder / "a.parquet", video=folder / "a.mp4"), 1),
        "  and --annotate .webm": (Outputs(folder / "b.parquet", video=folder / "b.webm"), 1),
        "five a second (default)": (Outputs(folder / "c.parquet"), None),
    }
    for name, (outputs, every) in ways.items():
        costs[name] = run(video, predictor, outputs, every)
    table = Table("watched", "frames/s", "CPU ms a frame", "frames/s of two free cores")
    for name, (rate, ms) in costs.items():
        table.add_row(name, f"{rate:.0f}", f"{ms:.1f}", f"{2000 / ms:.0f}")
    return table


def read_timeline(path: Path, count: int) -> list[list[Seen]]:
    """Read what was seen in each frame."""
    seen: list[list[Seen]] = [[] for _ in range(count)]
    for row in parquet.read_table(path).to_pylist():
        box = Box(row["left"], row["top"], row["width"], row["height"])
        seen[row["frame"]].append(Seen(row["track"], box, row["emotion"]))
    return seen


def compare_boxes(video: Path, predictor: Predictor, folder: Path) -> Table:
    """Compare the followed boxes with those of the detector, in frames that were not due."""
    follower = Follower(predictor.detector)
    due = [follower.is_due(f.image, f.time_s) for f in open_file(video).frames(every_nth(1))]
    always = read_timeline(folder / "always.parquet", len(due))
    followed = read_timeline(folder / "followed.parquet", len(due))
    overlaps, same_emotion, lost, invented = [], [], 0, 0
    for expected, seen, was_due in zip(always, followed, due, strict=True):
        left = list(seen)
        for face in [] if was_due else expected:
            best = max(left, key=lambda other: overlap(other.box, face.box), default=None)
            if best is None or overlap(best.box, face.box) < SAME:
                lost += 1
                continue
            left.remove(best)
            overlaps.append(overlap(best.box, face.box))
            same_emotion.append(best.emotion == face.emotion)
        invented += 0 if was_due else len(left)
    low = np.percentile(overlaps, 5)
    table = Table("boxes in frames between, against always detecting", "")
    table.add_row("frames; due to be detected", f"{len(due)}; {sum(due)}")
    table.add_row("faces found in both", f"{len(overlaps)}")
    table.add_row("IoU: mean; 5th percentile", f"{np.mean(overlaps):.3f}; {low:.3f}")
    table.add_row("same emotion", f"{np.mean(same_emotion):.1%}")
    table.add_row("lost; invented", f"{lost}; {invented}")
    tracks = [len({face.track for faces in seen for face in faces}) for seen in (always, followed)]
    table.add_row("tracks: always; followed", f"{tracks[0]}; {tracks[1]}")
    return table


def cpu_ms(action: Callable[[int], Any], times: int) -> float:
    """The processor's milliseconds for a call, on average."""
    start = time.process_time()
    for number in range(times):
        action(number)
    return 1000 * (time.process_time() - start) / times


def compare_parts(video: Path, predictor: Predictor, folder: Path) -> Table:
    """Measure each part of the way by itself."""
    cv2 = load_opencv()
    stream = open_file(video).frames(every_nth(1))
    read: list[Any] = []
    table = Table("part", "CPU ms")

    def add(name: str, action: Callable[[int], Any], times: int = PARTS_OF) -> None:
        table.add_row(name, f"{cpu_ms(action, times):.2f}")

    add("read a frame", lambda _: read.append(next(stream)))
    images = [cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB) for frame in read]
    add("change the order of its colours", lambda k: cv2.cvtColor(read[k].image, cv2.COLOR_BGR2RGB))
    detector = predictor.detector
    follower = Follower(detector)
    add("compare it with the last one", lambda k: follower.is_due(images[k], k / FPS))
    add("detect its faces", lambda k: detector.find_faces(images[k]), PARTS_OF // 4)
    boxes = [detector.find_faces(image) for image in images]
    add("crop two", lambda k: crop_faces(images[k], boxes[k], detector.framing))
    add("crop and predict two", lambda k: predictor.predict(images[k], boxes=boxes[k]))
    seen = [predictor.predict(image, boxes=b) for image, b in zip(images, boxes, strict=True)]
    # Without what they have computed before.
    looks = [
        FrameResult(frame, tuple(TrackedFace(1, replace(face)) for face in faces))
        for frame, faces in zip(read, seen, strict=True)
    ]
    with open_timeline(folder / "rows.parquet", {}) as timeline:
        add("poses, measures, rows", lambda k: timeline.add(looks[k]))
    for suffix in (".mp4", ".webm"):
        with open_annotator(folder / f"drawn{suffix}", FPS) as annotator:
            add(f"draw and write, {suffix}", lambda k: annotator.add(looks[k]))
        with open_annotator(folder / f"plain{suffix}", FPS) as plain:
            add(f"write alone, {suffix}", lambda k: plain.add(FrameResult(read[k], ())))
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", metavar="HOST:PORT", help="its networks, not those in here")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--faces", default="yunet")
    options = parser.parse_args()
    console = Console(width=120)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        predictor: Predictor = Analyzer(options.faces)
        if options.server:
            predictor = stack.enter_context(Client(options.server, options.faces))
        video = save_video(folder / "video.mp4", frames(options.seconds), FPS)
        for compare in (compare_speed, compare_boxes, compare_parts):
            console.print(compare(video, predictor, folder))


if __name__ == "__main__":
    main()
