"""What `watch` wrote, read again: the rows of a timeline, and the frames of a video."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet

from emotion_ai.apps.watch.frames import every_nth, open_file


def read_rows(path: Path) -> list[dict[str, Any]]:
    return parquet.read_table(path).to_pylist()


def read_frames(path: Path) -> list[NDArray[np.uint8]]:
    file = open_file(path)
    return [frame.image for frame in file.frames(every_nth(1))]
