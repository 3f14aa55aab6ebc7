"""Saves a few faces of a source as picture files, to predict at the end of a run."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.faces.labels import OTHER_EMOTION, label_set_names
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.open import open_source
from emotion_ai.storage.atomic_files import create_private


def save_example_faces(
    source: str, label_set: str, folder: Path, selection: str = ""
) -> list[Path]:
    """Save the first face of each emotion in an expression source as a PNG.

    Args:
        source: Path or URI of the faces with emotions.
        label_set: Their label set.
        folder: Replaced if it exists.
        selection: The emotions to learn, "" for all; see `open_source`.

    Returns:
        At most one file of 96x96 pixels per emotion. Each is named after its emotion in the source,
        so that a prediction can be compared with it.

    Raises:
        InputError: The source is invalid.
        Unavailable: The source cannot be read.
    """
    names = label_set_names(label_set)
    faces = _read_first_faces(source, label_set, selection)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for code, face in sorted(faces.items()):
        path = folder / f"{names[code]}.png"
        picture = Image.fromarray(face).resize((FRAME, FRAME), Image.Resampling.NEAREST)
        with create_private(path) as file:
            picture.save(file, "png")
        paths.append(path)
    return paths


def _read_first_faces(source: str, label_set: str, selection: str) -> dict[int, NDArray[np.uint8]]:
    """Read the first face of each emotion, by the emotion's code."""
    labels = label_set_names(label_set)
    info = FacesInfo(
        kind=EXPRESSION.name,
        label_set=label_set,
        labels=labels,
        image_size=EXPRESSION.image_size,
        source=source,
        fingerprint="",
    )
    faces: dict[int, NDArray[np.uint8]] = {}
    with open_source(info, DataChecks(), selection) as opened:
        for block in opened.examples:
            codes, first = np.unique(block.rows.targets, return_index=True)
            for code, row in zip(codes, first, strict=True):
                if code != OTHER_EMOTION:
                    faces.setdefault(int(code), block.rows.images[row])
            if len(faces) == len(labels):
                break
    return faces
