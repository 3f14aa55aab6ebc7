"""Small CSVs of faces in Kaggle's formats, with images of random noise."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.faces.labels import EmotionReader, label_set_names

FER7 = EmotionReader(label_set_names("fer7"))


def random_images(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Draw images of noise, uint8 [count, size, size]; no two are alike."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size), dtype=np.uint8)


def pixel_text(image: NDArray[np.uint8]) -> str:
    """Format an image as Kaggle's files have it: pixels separated by spaces."""
    return " ".join(str(value) for value in image.ravel())


def write_expression(
    path: Path,
    emotions: Sequence[object],
    usage: Sequence[str] | None = None,
    pixels: Sequence[str] | None = None,
) -> Path:
    """Write a CSV emotion,pixels[,Usage]; the default pixels are noise."""
    pixels = pixels or [pixel_text(image) for image in random_images(len(emotions), 48)]
    header = "emotion,pixels" + (",Usage" if usage else "")
    lines = [f"{emotion},{text}" for emotion, text in zip(emotions, pixels, strict=True)]
    if usage:
        lines = [f"{line},{split}" for line, split in zip(lines, usage, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def keypoint_cells(count: int, seed: int = 0) -> list[list[str]]:
    """Draw thirty coordinates a row, inside the frame, as text."""
    points = np.random.default_rng(seed).uniform(1, 95, (count, len(COLUMNS)))
    return [[f"{value:.3f}" for value in row] for row in points]


def write_keypoints(path: Path, cells: Sequence[Sequence[str]]) -> Path:
    """Write keypoints in the format of Kaggle's training.csv, with images of noise."""
    images = random_images(len(cells), 96)
    lines = [",".join([*row, pixel_text(image)]) for row, image in zip(cells, images, strict=True)]
    path.write_text("\n".join([",".join([*COLUMNS, "Image"]), *lines]) + "\n")
    return path
