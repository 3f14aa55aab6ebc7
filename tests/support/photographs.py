"""Photographs from installed packages, and groups of faces pasted into them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 1024, 768


class Group(NamedTuple):
    """A picture, uint8 [768, 1024, 3] RGB, and the (left, top, side) [n, 3] of its faces."""

    image: NDArray[np.uint8]
    frames: NDArray[np.int64]


def portrait() -> NDArray[np.uint8]:
    """Load Matplotlib's photo of Grace Hopper, [600, 512, 3]: one face of some 180 pixels."""
    from matplotlib import get_data_path

    with Image.open(Path(get_data_path(), "sample_data/grace_hopper.jpg")) as picture:
        return np.asarray(picture.convert("RGB"))


def landscapes() -> list[NDArray[np.uint8]]:
    """Load scikit-learn's photos of a temple and a flower, [427, 640, 3]: no faces."""
    from sklearn.datasets import load_sample_images

    return [np.asarray(image) for image in load_sample_images().images]


def paste_faces(faces: Sequence[NDArray], side: int, seed: int) -> Group:
    """Paste gray faces, each [s, s], scaled to `side` pixels, into a grid over a landscape."""
    rng = np.random.default_rng(seed)
    scene = landscapes()[seed % 2]
    canvas = np.array(Image.fromarray(scene).resize((WIDTH, HEIGHT)), np.float32)
    columns = int(np.ceil(np.sqrt(len(faces) * WIDTH / HEIGHT)))
    rows = -(-len(faces) // columns)
    cell_width, cell_height = WIDTH // columns, HEIGHT // rows
    assert min(cell_width, cell_height) >= side, "the faces do not fit"
    frames = []
    for number, face in enumerate(faces):
        left = number % columns * cell_width + int(rng.integers(0, cell_width - side + 1))
        top = number // columns * cell_height + int(rng.integers(0, cell_height - side + 1))
        scaled = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        region = canvas[top : top + side, left : left + side]
        region += _feather(side) * (np.asarray(scaled, np.float32)[..., None] - region)
        frames.append((left, top, side))
    return Group(np.rint(canvas).clip(0, 255).astype(np.uint8), np.array(frames))


def _feather(side: int) -> NDArray[np.float32]:
    """Return weights [side, side, 1] that fade out near the edges, to hide them."""
    distance = np.minimum(np.arange(side) + 0.5, np.arange(side)[::-1] + 0.5) / (side / 12)
    ramp = distance.clip(0, 1).astype(np.float32)
    return (ramp[:, None] * ramp)[..., None]


def match_boxes(boxes: Sequence[Sequence[float]], frames: NDArray[np.int64]) -> dict[int, int]:
    """Match frames with boxes (left, top, width, height, ...) whose centre is well inside."""
    matches: dict[int, int] = {}
    for number, (left, top, side) in enumerate(frames):
        for k, box in enumerate(boxes):
            x, y = box[0] + box[2] / 2 - left, box[1] + box[3] / 2 - top
            inside = 0.25 * side < min(x, y) and max(x, y) < 0.75 * side
            if inside and 0.3 * side < box[2] < 1.7 * side and k not in matches.values():
                matches[number] = k
                break
    return matches
