"""The image file of each data row, stored beside the faces read from it.

`files.jsonl` in the folder of the faces has one JSON string a line, data row 0 first. Faces from a
CSV have no such file.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotion_ai import storage
from emotion_ai.storage.atomic_files import atomic_write, complete

FILE_NAMES = "files.jsonl"


def write_file_names(faces: str | Path, names: Iterable[str]) -> None:
    """Write the file names to an existing folder of faces.

    Args:
        faces: The folder.
        names: One name a data row, in their order.

    Raises:
        Unavailable: The folder cannot be written.
    """
    path = Path(faces, FILE_NAMES)
    with storage.translate_errors(str(path)), atomic_write(path) as file:
        for name in names:
            file.write(json.dumps(name).encode() + b"\n")
        complete(file, path)


def read_file_names(faces: str | Path) -> Iterator[str]:
    """Yield the file names in the order of their data rows; none for faces from a CSV."""
    path = Path(faces, FILE_NAMES)
    if path.exists():
        with storage.translate_errors(str(path)), path.open("rb") as file:
            for line in file:
                yield json.loads(line)


def copy_file_names(faces: Path, target: str | Path) -> None:
    """Copy the file names, if any, to another folder of faces from the same source."""
    if (faces / FILE_NAMES).exists():
        write_file_names(target, read_file_names(faces))


def pick_file_names(faces: Path, rows: Iterable[int]) -> dict[int, str]:
    """Return the file names of these data rows by row; empty for faces from a CSV."""
    wanted = set(rows)
    return {row: name for row, name in enumerate(read_file_names(faces)) if row in wanted}
