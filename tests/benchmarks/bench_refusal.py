"""Refusals of the pretrained networks: pictures without a face, real faces, and the ambiguous ones.

None of these pictures was used to fit: crops of scikit-image's photographs without faces (or of
those in a folder: --pictures), and rows of FER-2013's PublicTest that show none; real faces of both
halves of PublicTest, whose first one chose the thresholds, and of the keypoint set's test people.
The limits of size and sharpness are measured on the second half.
"""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from emotion_ai.export.inference import enlarge
from emotion_ai.faces.arrays import TEST, VALIDATION, Faces
from emotion_ai.faces.reasons import BLURRED, NOT_A_FACE, picture_reason
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.litert.pretrained import PRETRAINED
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare

DATA = Path(__file__).parents[3] / "shared/data"
SOURCES = {"keypoints": DATA / "keypoints.csv.gz", "expression": DATA / "fer2013.csv.gz"}
# Of scikit-image 0.26; the cat's crops show its face too.
PHOTOGRAPHS = (
    "brick.png",
    "cell.png",
    "chelsea.png",
    "chessboard_GRAY.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
    "logo.png",
)
CROPS = 100
# Data rows of PublicTest in fer2013.csv.gz that show a sign, writing, or nothing, found by looking.
EMPTY_ROWS = (29557, 30002, 30705, 31734, 31825, 32257)
SIDES = (48, 32, 24, 20, 16, 12)
BLURS = (0.6, 1.0, 1.5, 2.0, 2.6)
MAX_FACES = 600


def crop_photograph(path: Path, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Cut squares of all sizes out of a photograph, every second one at 48 pixels: [n, 96, 96]."""
    photograph = Image.open(path).convert("L")
    crops = []
    for number in range(CROPS):
        side = round(float(np.exp(rng.uniform(np.log(32), np.log(0.9 * min(photograph.size))))))
        left, top = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
        crop = photograph.crop((left, top, left + side, top + side))
        shown = crop.resize((48, 48) if number % 2 else (96, 96), Image.Resampling.BICUBIC)
        crops.append(np.asarray(shown.resize((96, 96), Image.Resampling.BOX)))
    return np.array(crops)


def prepared_faces(folder: Path) -> dict[str, Faces]:
    """Read and split the real faces as the pipeline does, once for each folder."""
    faces = {}
    for kind, source in SOURCES.items():
        own = folder / kind
        if not own.exists():
            own.mkdir(parents=True)
            paths = (str(own / name) for name in ("read", "page.html", "counts.json"))
            if kind == "expression":
                source = halve_public_test(source, own / "fer2013.halves.csv")
            ingest(str(source), "", kind, "fer7", "", {}, *paths)
            prepare(str(own / "read"), {}, str(own / "prepared"), str(own / "page.html"))
        faces[kind] = Faces(own / "prepared")
    return faces


def halve_public_test(source: Path, halves: Path) -> Path:
    """Name every second row of PublicTest a test row, as it was when the networks were chosen."""
    table = pd.read_csv(source)
    public = np.flatnonzero(table["Usage"] == "PublicTest")
    table.loc[public[1::2], "Usage"] = "PrivateTest"
    table.to_csv(halves, index=False)
    return halves


def refused(model: LiteModel, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pictures [n, 96, 96] are refused as no face."""
    return model.run(images[..., None])["cannot_tell"] == NOT_A_FACE.encode()


def print_accuracy(name: str, images: NDArray, truth: NDArray, model: LiteModel) -> None:
    """Print how many of these faces are answered, and how many of the answers are right."""
    outputs = model.run(enlarge(images))
    correct = outputs["emotion_probabilities"].argmax(1) == truth
    answered = outputs["cannot_tell"] == b""
    print(
        f"{name}: {len(truth)} faces, accuracy {correct.mean():.1%}; answers "
        f"{answered.mean():.1%} of them, {correct[answered].mean():.1%} right"
    )


def print_limits(images: NDArray[np.uint8], truth: NDArray, model: LiteModel) -> None:
    """Print what faces lose by being small or blurred, and how many count as blurred."""
    for side in SIDES:
        small = resized(resized(images, side), 96)
        correct = model.run(small[..., None])["emotion_probabilities"].argmax(1) == truth
        print(f"  {side} pixels: accuracy {correct.mean():.1%}")
    for radius in BLURS:
        blurred = enlarge(np.array([blur(image, radius) for image in images]))
        correct = model.run(blurred)["emotion_probabilities"].argmax(1) == truth
        reasons = [picture_reason(face, 96, "") == BLURRED for face in blurred]
        print(f"  blur of {radius}: accuracy {correct.mean():.1%}, blurred {np.mean(reasons):.1%}")


def resized(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize by area, as the client crops."""
    size = (side, side)
    return np.array(
        [np.asarray(Image.fromarray(i).resize(size, Image.Resampling.BOX)) for i in images]
    )


def blur(image: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """Blur a picture by a Gaussian."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="Folder of scikit-image's photographs.")
    parser.add_argument("--scratch", type=Path, required=True, help="Folder for prepared faces.")
    options = parser.parse_args(arguments)
    model = LiteModel(PRETRAINED.read_bytes())
    print_non_faces(model, options.pictures or _installed_pictures())
    faces = prepared_faces(options.scratch)
    own = faces["expression"]
    test = own.take(own.positions(TEST))
    rows = own.column("row")
    empty = own.take(np.flatnonzero(np.isin(rows, EMPTY_ROWS)))
    found = refused(model, enlarge(empty.images)[..., 0])
    print(f"FER-2013's rows without a face: {found.sum()} of {len(found)} refused")
    for name, kind, split in (
        ("FER-2013, PublicTest's first half", "expression", VALIDATION),
        ("FER-2013, PublicTest's second half", "expression", TEST),
        ("keypoint set, test people", "keypoints", TEST),
    ):
        shown = faces[kind].take(faces[kind].positions(split))
        is_face = ~np.isin(shown.row, EMPTY_ROWS) | (kind == "keypoints")
        lost = refused(model, enlarge(shown.images[is_face])[..., 0])
        print(f"{name}: {lost.mean():.2%} of {len(lost)} real faces lost")
    chosen = own.take(own.positions(VALIDATION))
    print_accuracy("PublicTest's first half", chosen.images, chosen.targets, model)
    print_accuracy("PublicTest's second half", test.images, test.targets, model)
    print_limits(test.images[:MAX_FACES], test.targets[:MAX_FACES], model)


def print_non_faces(model: LiteModel, folder: Path) -> None:
    """Print how many crops of each photograph are refused."""
    rng = np.random.default_rng(18)
    shares = {n: refused(model, crop_photograph(folder / n, rng)).mean() for n in PHOTOGRAPHS}
    for name, share in shares.items():
        print(f"  {name}: {share:.0%} refused")
    total = len(shares) * CROPS
    print(f"{total} crops of photographs without a face: {np.mean([*shares.values()]):.1%} refused")


def _installed_pictures() -> Path:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise SystemExit("bench: install scikit-image, or name its photographs: --pictures FOLDER")
    return Path(spec.origin).parent / "data"


if __name__ == "__main__":
    main()
