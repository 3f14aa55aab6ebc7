"""A few drawn faces as prepared artifacts, for trainings of seconds."""

from pathlib import Path

import numpy as np

from emotion_ai.faces.arrays import FacesInfo, FacesWriter, Rows
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.sample.drawing import draw_faces, halve

TRAIN_ROWS, VALIDATION_ROWS = 98, 28


def write_faces(folder: Path, kind: str, deviation: float = 60.0) -> Path:
    """Write 140 drawn faces of a kind, split 98 / 28 / 14, to a new folder."""
    drawn = next(draw_faces(140, 5))
    count = len(drawn.images)
    split = np.full(count, 2, np.uint8)
    split[: TRAIN_ROWS + VALIDATION_ROWS] = 1
    split[:TRAIN_ROWS] = 0
    points = drawn.keypoints.astype(np.float32)
    points[::5, 3:9] = np.nan
    keypoints = kind == "keypoints"
    info = FacesInfo(
        kind="keypoints" if keypoints else "expression",
        label_set="" if keypoints else "fer7",
        labels=() if keypoints else LABEL_SETS["fer7"],
        image_size=96 if keypoints else 48,
        source="sample://140?seed=5",
        fingerprint="f" * 64,
        mean=120.0,
        deviation=deviation,
        augmentation={"mirror": 0.5, "rotation": 10.0},
    )
    rows = Rows(
        images=drawn.images if keypoints else halve(drawn.images),
        targets=points if keypoints else drawn.emotions,
        split=split,
        row=np.arange(count),
        subject=np.full(count, -1),
    )
    with FacesWriter(folder, info) as writer:
        writer.append(rows)
    return folder
