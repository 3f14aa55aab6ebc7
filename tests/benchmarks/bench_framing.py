"""Find the margin around a detected face with which a release predicts best.

    make bench NAME=framing ARGS="[HOST:PORT] [--faces 1000] [--expression FILE] [--keypoints FILE]"

Needs a server (127.0.0.1:8500 by default) with a release of fer7. Faces of both sources are pasted
into landscapes, detected, cropped with squares of several sizes and heights, and predicted. Prints
the accuracy of the emotion and the RMSE of the keypoints (in pixels of the face's 96x96 frame) over
the detected faces, beside those of the same faces predicted without detection.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from emotion_ai.client.client import Client
from emotion_ai.client.cropping import crop_faces, square, to_image_coordinates
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.results import Box
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.labels import LABEL_SETS

from support.face_csv import FER7
from support.photographs import match_boxes, paste_faces

DATA = Path(__file__).resolve().parents[3] / "shared/data"
A_GROUP = 12
SIDE = 144
SCALES = (0.9, 1.0, 1.05, 1.1, 1.2, 1.4)
DOWNS = (-0.15, -0.1, -0.075, -0.05, -0.025, 0.0, 0.05)


class Found(NamedTuple):
    """A found face: its picture, box and frame there, and its number in the source."""

    image: NDArray[np.uint8]
    box: Box
    frame: NDArray[np.int64]
    number: int


def read(source: Path, kind: str, count: int) -> tuple[NDArray, NDArray]:
    """Held-out faces: FER-2013's PublicTest, or faces with all keypoints."""
    from emotion_ai.sources.checks import DataChecks
    from emotion_ai.sources.csv_table import open_table, read_blocks

    images, targets = [], []
    for block in read_blocks(open_table(str(source), kind), FER7, DataChecks()):
        rows = block.rows
        held = rows.split != 0 if kind == "expression" else ~np.isnan(rows.targets).any((1, 2))
        images.append(rows.images[held])
        targets.append(rows.targets[held])
    together, answers = np.concatenate(images), np.concatenate(targets)
    chosen = np.random.default_rng(0).permutation(len(together))[:count]
    return together[chosen], answers[chosen]


def find_all(faces: NDArray[np.uint8], detector: Detector) -> Iterator[Found]:
    """The faces that a detector finds in groups of them."""
    for number, start in enumerate(range(0, len(faces) - A_GROUP + 1, A_GROUP)):
        picture = paste_faces(list(faces[start : start + A_GROUP]), SIDE, number)
        boxes = detector.find_faces(picture.image)
        for k, box in match_boxes(boxes, picture.frames).items():
            yield Found(picture.image, boxes[box], picture.frames[k], start + k)


def as_they_stand(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces [n, s, s] as uint8 [n, 96, 96, 1]."""
    return faces.repeat(FRAME // faces.shape[1], 1).repeat(FRAME // faces.shape[2], 2)[..., None]


def outputs(client: Client, crops: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """Codes of fer7 [n] and keypoints [n, 15, 2] that the server answers."""
    codes, points = [], []
    for start in range(0, len(crops), 64):
        answer = client.predict_arrays(crops[start : start + 64]).outputs
        codes += [LABEL_SETS["fer7"].index(name.decode()) for name in answer["emotion"]]
        points.append(answer["keypoints"])
    return np.array(codes), np.concatenate(points)


def rmse(points: NDArray, truth: NDArray) -> float:
    """Root of the mean squared distance along x and y."""
    return float(np.sqrt(np.mean((points - truth) ** 2)))


def table_of(client: Client, name: str, sets: dict[str, tuple[NDArray, NDArray]]) -> Table:
    """Accuracy and RMSE for each square."""
    detector = open_detector(name)
    seen = {kind: list(find_all(faces, detector)) for kind, (faces, _) in sets.items()}
    shares = ", ".join(f"{len(seen[kind])} of {len(sets[kind][0])} {kind}" for kind in sets)
    table = Table("side / box", *(f"down {down:+.3f}" for down in DOWNS), title=f"{name}: {shares}")

    def cell(scale: float, down: float) -> str:
        framing = square(scale, down)
        told = {}
        for kind, places in seen.items():
            cut = [crop_faces(place.image, [place.box], framing) for place in places]
            codes, points = outputs(client, np.concatenate([crops for crops, _ in cut]))
            truth = sets[kind][1][[place.number for place in places]]
            if kind == "expression":
                told[kind] = f"{np.mean(codes == truth):.1%}"
                continue
            photo = to_image_coordinates(points, np.concatenate([frames for _, frames in cut]))
            frame = np.array([place.frame for place in places])
            own = (photo - frame[:, None, :2] + 0.5) * (FRAME / SIDE) - 0.5
            told[kind] = f"{rmse(own, truth):.2f} px"
        return " ".join(told.values())

    for scale in SCALES:
        table.add_row(f"{scale:.2f}", *(cell(scale, down) for down in DOWNS))
    whole = []
    for kind, (faces, truth) in sets.items():
        numbers = [place.number for place in seen[kind]]
        codes, points = outputs(client, as_they_stand(faces[numbers]))
        if kind == "expression":
            whole.append(f"{np.mean(codes == truth[numbers]):.1%}")
        else:
            whole.append(f"{rmse(points, truth[numbers]):.2f} px")
    table.caption = f"as they stand: {' '.join(whole)}"
    return table


def main() -> None:
    """Print a table for each detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "server",
        nargs="?",
        default="127.0.0.1:8500",
        help="HOST:PORT of a server with a release of fer7",
    )
    parser.add_argument("--faces", type=int, default=1000, help="of each source")
    parser.add_argument("--expression", type=Path, default=DATA / "fer2013.csv.gz")
    parser.add_argument("--keypoints", type=Path, default=DATA / "keypoints.csv.gz")
    options = parser.parse_args()
    console = Console(width=150)
    kinds = ("expression", "keypoints")
    sets = {kind: read(getattr(options, kind), kind, options.faces) for kind in kinds}
    with Client(options.server) as client:
        for name in ("yunet", "dlib"):
            console.print(table_of(client, name, sets))


if __name__ == "__main__":
    main()
