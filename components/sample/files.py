"""Write drawn faces as two CSV files in Kaggle's formats, the pipeline's input."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.keypoints import COLUMNS, FOUR_POINTS, NAMES
from emotion_ai.faces.kinds import EXPRESSION, KEYPOINTS, KINDS
from emotion_ai.faces.labels import SAMPLE_LABEL_SET, label_set_names
from emotion_ai.sample.drawing import DrawnFaces, draw_faces, halve
from emotion_ai.sample.uri import check_bounds
from emotion_ai.storage.atomic_files import SHARED, atomic_write, complete

CSV_NAMES = {kind: f"{kind}.csv" for kind in KINDS}

# As in Kaggle's training.csv, the later rows have only four keypoints.
_COMPLETE_SHARE = 0.8
# Splits of ten successive rounds of emotions. The second and the third are for testing, so that
# three rounds are enough to fill every split.
_USAGE = ("Training", "PublicTest", "PrivateTest", *["Training"] * 7)
_DECIMALS = 4

# "0 " to "255 " as four bytes each, padded with zero bytes that are removed again.
_PIXEL_TEXT = np.array([f"{value} ".encode() for value in range(256)], dtype="S4").view(np.uint32)


def write_sample(directory: str | Path, faces: int, seed: int) -> None:
    """Write drawn faces to keypoints.csv (96x96) and expression.csv (48x48) in a folder.

    Rows with the same number show the same face. The same seed gives the same bytes on every
    machine. Each file appears complete or not at all, and memory does not grow with the number of
    faces.

    Args:
        directory: The folder; created if absent.
        faces: Number of faces, 20 to 1,000,000.
        seed: 0 to 2**32 - 1.

    Raises:
        InputError: A number is out of bounds, or `directory` is a file.
        Unavailable: The folder cannot be written.

    Example:
        write_sample("sample", faces=2000, seed=0)
    """
    check_bounds(faces, seed)
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            _write_atomically(folder / CSV_NAMES[KEYPOINTS.name]) as keypoints,
            _write_atomically(folder / CSV_NAMES[EXPRESSION.name]) as expression,
        ):
            _write_rows(keypoints, expression, faces, seed)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder} is not a folder; name one to write the sample into") from None
    except OSError as error:
        raise Unavailable(f"{folder}: the sample cannot be written: {error.strerror}") from None


def _write_rows(keypoints: BinaryIO, expression: BinaryIO, faces: int, seed: int) -> None:
    keypoints.write((",".join([*COLUMNS, "Image"]) + "\n").encode())
    expression.write(b"emotion,pixels,Usage\n")
    first = 0
    complete = int(faces * _COMPLETE_SHARE)
    for drawn in draw_faces(faces, seed):
        keypoints.writelines(_keypoint_rows(drawn, complete - first))
        expression.writelines(_expression_rows(drawn, first))
        first += len(drawn.images)


def _keypoint_rows(drawn: DrawnFaces, complete: int) -> Iterator[bytes]:
    for k, (points, image) in enumerate(zip(drawn.keypoints, drawn.images, strict=True)):
        annotated = range(len(NAMES)) if k < complete else FOUR_POINTS
        cells = [""] * len(COLUMNS)
        for index in annotated:
            cells[2 * index] = f"{points[index, 0]:.{_DECIMALS}f}"
            cells[2 * index + 1] = f"{points[index, 1]:.{_DECIMALS}f}"
        yield ",".join(cells).encode() + b"," + _pixel_text(image) + b"\n"


def _expression_rows(drawn: DrawnFaces, first: int) -> Iterator[bytes]:
    classes = len(label_set_names(SAMPLE_LABEL_SET))
    for k, (emotion, image) in enumerate(zip(drawn.emotions, halve(drawn.images), strict=True)):
        usage = _USAGE[(first + k) // classes % len(_USAGE)]
        yield b"%d,%b,%b\n" % (emotion, _pixel_text(image), usage.encode())


def _pixel_text(image: NDArray[np.uint8]) -> bytes:
    return _PIXEL_TEXT[image.ravel()].tobytes().translate(None, b"\0")[:-1]


@contextlib.contextmanager
def _write_atomically(path: Path) -> Iterator[BinaryIO]:
    with atomic_write(path, SHARED) as file:
        yield file
        complete(file, path)
