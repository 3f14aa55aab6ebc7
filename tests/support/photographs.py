"""Photographs that installed packages ship, and groups of faces pasted into them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 1024, 768


class Group(NamedTuple):
    """uint8 [768, 1024, 3] RGB with faces, whose frames are (left, top, side) [n, 3]."""

    image: NDArray[np.uint8]
    frames: NDArray[np.int64]


def portrait() -> NDArray[np.uint8]:
    """Rear Admiral Grace Hopper, [600, 512, 3], one face of some 180 pixels; of Matplotlib."""
    from matplotlib import get_data_path

    with Image.open(Path(get_data_path(), "sample_data/grace_hopper.jpg")) as picture:
        return np.asarray(picture.convert("RGB"))


def landscapes() -> list[NDArray[np.uint8]]:
    """A temple and a flower, [427, 640, 3], without a face; of scikit-learn."""
    from sklearn.datasets import load_sample_images

    return [np.asarray(image) for image in load_sample_images().images]


def group(faces: Sequence[NDArray], side: int, seed: int) -> Group:
    """Gray faces [n] of [s, s] scaled to `side` pixels, one a cell of a grid over a landscape."""
    rng = np.random.default_rng(seed)
    scene = landscapes()[seed % 2]
    canvas = np.array(Image.fromarray(scene).resize((WIDTH, HEIGHT)), np.float32)
    across = int(np.ceil(np.sqrt(len(faces) * WIDTH / HEIGHT)))
    down = -(-len(faces) // across)
    wide, high = WIDTH // across, HEIGHT // down
    assert min(wide, high) >= side, "the faces do not fit"
    frames = []
    for number, face in enumerate(faces):
        left = number % across * wide + int(rng.integers(0, wide - side + 1))
        top = number // across * high + int(rng.integers(0, high - side + 1))
        scaled = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        place = canvas[top : top + side, left : left + side]
        place += _feather(side) * (np.asarray(scaled, np.float32)[..., None] - place)
        frames.append((left, top, side))
    return Group(np.rint(canvas).clip(0, 255).astype(np.uint8), np.array(frames))


def _feather(side: int) -> NDArray[np.float32]:
    """Weights [side, side, 1] that fade out in the last twelfth, so that no edge tells."""
    inwards = np.minimum(np.arange(side) + 0.5, np.arange(side)[::-1] + 0.5) / (side / 12)
    ramp = inwards.clip(0, 1).astype(np.float32)
    return (ramp[:, None] * ramp)[..., None]


def found(boxes: Sequence[Sequence[float]], frames: NDArray[np.int64]) -> dict[int, int]:
    """Which box (left, top, width, height, ...) sees which frame: its middle lies well inside."""
    seen: dict[int, int] = {}
    for number, (left, top, side) in enumerate(frames):
        for k, box in enumerate(boxes):
            x, y = box[0] + box[2] / 2 - left, box[1] + box[3] / 2 - top
            inside = 0.25 * side < min(x, y) and max(x, y) < 0.75 * side
            if inside and 0.3 * side < box[2] < 1.7 * side and k not in seen.values():
                seen[number] = k
                break
    return seen
