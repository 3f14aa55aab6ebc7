"""Measure what predicting a photograph costs, beside the package `fer` where that is installed.

    make bench NAME=client ARGS="[HOST:PORT] [--photo FILE] [--times 30]"

Needs a running model server (127.0.0.1:8500 by default). Prints the times for a photo of 512x512
(Matplotlib's portrait by default) in milliseconds: the command from a cold interpreter, one picture
after another, many through `predict_many`, and each part by itself. Wall time is the minimum and
the median of the repetitions; processor time is this process's own. The budgets are 1,000 ms for
the command and 50 ms for a photo; the exit code is 1 if a median is over its budget. The
package `fer` finds faces with OpenCV's Haar cascade; it is a peer to compare with, never a
dependency.
"""

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from emotion_ai.client.client import Client
from emotion_ai.client.cropping import crop_faces
from emotion_ai.client.images import read_image

from support.photographs import portrait

BUDGETS_MS = {"command, cold": 1000.0, "photo": 50.0}


class Cost(NamedTuple):
    """Milliseconds: least and median wall time, median processor time."""

    least: float
    median: float
    processor: float | None


def cost(action: Callable[[], Any], times: int) -> Cost:
    """Of an action in this process, after one run that does not count."""
    action()
    walls, processor = [], []
    for _ in range(times):
        wall, own = time.perf_counter(), time.process_time()
        action()
        walls.append(1000 * (time.perf_counter() - wall))
        processor.append(1000 * (time.process_time() - own))
    return Cost(min(walls), statistics.median(walls), statistics.median(processor))


def cold(arguments: list[str], times: int) -> Cost:
    """Of a program in a process of its own."""
    command = [sys.executable, *arguments]

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    measured = cost(run, times)
    return measured._replace(processor=None)


def own_costs(server: str, photo: Path, times: int) -> dict[str, Cost]:
    """Of this project's client."""
    command = ["-m", "emotion_ai.pipeline.cli", "predict", str(photo), "--server", server]
    costs = {"command, cold": cold(command, max(3, times // 6))}
    with Client(server) as client:
        image = read_image(photo)
        boxes = client.detector.find_faces(image)
        many = [photo] * times

        def all_of_them() -> None:
            assert all(answer.faces for answer in client.predict_many(many))

        costs["photo"] = cost(lambda: client.predict(photo), times)
        together = cost(all_of_them, 3)
        costs["photo of many"] = Cost(
            together.least / times, together.median / times, (together.processor or 0) / times
        )
        costs["  read it"] = cost(lambda: read_image(photo), times)
        costs["  find its faces"] = cost(lambda: client.detector.find_faces(image), times)
        framing = client.detector.framing
        costs["  cut them out"] = cost(lambda: crop_faces(image, boxes, framing), times)
        crops, _ = crop_faces(image, boxes, framing)
        costs["  ask the server"] = cost(lambda: client.predict_arrays(crops), times)
    return costs


def peer_costs(photo: Path, times: int) -> dict[str, Cost]:
    """Of `fer`; none where it is not installed or does not run with the packages that are."""
    program = (
        "import numpy, sys; from fer.fer import FER; from PIL import Image; "
        "FER(mtcnn=False).detect_emotions(numpy.asarray(Image.open(sys.argv[1])))"
    )
    try:
        from fer.fer import FER

        network = FER(mtcnn=False)

        def ask() -> None:
            with Image.open(photo) as picture:
                network.detect_emotions(np.asarray(picture.convert("RGB"))[..., ::-1])

        return {
            "photo": cost(ask, times),
            "command, cold": cold(["-c", program, str(photo)], max(3, times // 6)),
        }
    except Exception as error:
        sys.stderr.write(f"fer takes no part: {error!r:.200}\n")
        return {}


def main() -> None:
    """Print the table; exit with 1 where a median is over its budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", nargs="?", default="127.0.0.1:8500", help="HOST:PORT")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--times", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = options.photo
        if photo is None:
            photo = Path(folder, "portrait.jpg")
            data = io.BytesIO()
            Image.fromarray(portrait()[:512]).save(data, "JPEG", quality=92)
            photo.write_bytes(data.getvalue())
        own, peer = (
            own_costs(options.server, photo, options.times),
            peer_costs(photo, options.times),
        )
    table = Table("", "least ms", "median ms", "processor ms", "budget", "fer median", "fer / ours")
    for name, (least, median, processor) in own.items():
        budget, other = BUDGETS_MS.get(name), peer.get(name)
        table.add_row(
            name,
            f"{least:.1f}",
            f"{median:.1f}",
            "" if processor is None else f"{processor:.1f}",
            f"{budget:.0f}" if budget else "",
            f"{other.median:.0f}" if other else "",
            f"{other.median / median:.1f}" if other else "",
        )
    Console(width=110).print(table)
    sys.exit(any(own[name].median > budget for name, budget in BUDGETS_MS.items()))


if __name__ == "__main__":
    main()
