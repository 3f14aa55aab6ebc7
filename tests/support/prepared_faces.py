"""A few drawn faces as prepared artifacts, for trainings of a few seconds."""

from pathlib import Path

import numpy as np

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, FacesInfo, FacesWriter, Rows
from emotion_ai.faces.kinds import KEYPOINTS, kind_of
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.sample.drawing import draw_faces, halve

SPLIT_ROWS = {TRAIN: 98, VALIDATION: 28, TEST: 14}


def write_faces(folder: Path, kind: str, deviation: float = 60.0) -> Path:
    """Write 140 drawn faces of a kind to a new folder: 98 train, 28 validation, 14 test."""
    drawn = next(draw_faces(140, 5))
    count = len(drawn.images)
    keypoints = drawn.keypoints.astype(np.float32)
    keypoints[::5, 3:9] = np.nan
    is_keypoints = kind == KEYPOINTS.name
    info = FacesInfo(
        kind=kind,
        label_set="" if is_keypoints else "fer7",
        labels=() if is_keypoints else LABEL_SETS["fer7"],
        image_size=kind_of(kind).image_size,
        source="sample://140?seed=5",
        fingerprint="f" * 64,
        mean=120.0,
        deviation=deviation,
        augmentation={"mirror": 0.5, "rotation": 10.0},
    )
    rows = Rows(
        images=drawn.images if is_keypoints else halve(drawn.images),
        targets=keypoints if is_keypoints else drawn.emotions,
        split=np.repeat(np.array([*SPLIT_ROWS], np.uint8), [*SPLIT_ROWS.values()]),
        row=np.arange(count),
        subject=np.full(count, -1),
    )
    with FacesWriter(folder, info) as writer:
        writer.append(rows)
    return folder
