"""Cells of tables of faces, and what is read of a table."""

from pathlib import Path

import numpy as np

from emotion_ai.faces.arrays import Rows
from emotion_ai.faces.kinds import KindName
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import BadRow, open_table, read_blocks

from support.face_csv import (
    FER7,
    pixel_text,
    random_images,
)

IMAGES = random_images(3, 48)
PIXELS = [pixel_text(image) for image in IMAGES]


def read_all(path: Path | str, kind: KindName = "expression") -> tuple[Rows, list[BadRow]]:
    blocks = list(read_blocks(open_table(str(path), kind), FER7, DataChecks()))
    names = ("images", "targets", "split", "row", "subject")
    rows = Rows(*(np.concatenate([getattr(b.rows, n) for b in blocks]) for n in names))
    return rows, [bad for block in blocks for bad in block.bad]
