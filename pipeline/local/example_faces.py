"""Saves a few faces of a source as picture files, to predict at the end of a run."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.faces.labels import label_set_names
from emotion_ai.sources.checks import DataChecks


def save_example_faces(source: str, label_set: str, folder: Path) -> list[Path]:
    """Save the first face of each emotion in an expression source as a PNG.

    Args:
        source: Path or URI of the faces with emotions.
        label_set: Their label set.
        folder: Replaced if it exists.

    Returns:
        At most one file of 96x96 pixels per emotion. Each is named after its emotion in the source,
        so that a prediction can be compared with it.

    Raises:
        InputError: The source is invalid.
        Unavailable: The source cannot be read.
    """
    images, codes = _read_first_faces(source, label_set)
    names = label_set_names(label_set)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = []
    for code in np.unique(codes):
        path = folder / f"{names[code]}.png"
        face = images[np.flatnonzero(codes == code)[0]]
        Image.fromarray(face).resize((FRAME, FRAME), Image.Resampling.NEAREST).save(path)
        paths.append(path)
    return paths


def _read_first_faces(source: str, label_set: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the first block of a source: images [n, H, H] and codes of emotions [n]."""
    if source.startswith("sample://"):
        from emotion_ai.sample.drawing import draw_faces
        from emotion_ai.sample.uri import parse_sample_uri

        drawn = next(draw_faces(*parse_sample_uri(source)))
        return drawn.images, drawn.emotions
    from emotion_ai.sources.csv_table import open_table, read_blocks
    from emotion_ai.sources.pictures import first_of_each_emotion, open_pictures, read_pictures

    with open_pictures(source, EXPRESSION.name, label_set) as pictures:
        if pictures is None:
            table = open_table(source, EXPRESSION.name)
            block = next(read_blocks(table, len(label_set_names(label_set)), DataChecks()))
        else:
            block = next(read_pictures(first_of_each_emotion(pictures), DataChecks()))
    return block.rows.images, block.rows.targets
