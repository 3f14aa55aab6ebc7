"""Which picture file each data row of a source was, kept beside the faces made of them.

`files.jsonl` in the faces' folder has a JSON string a line, data row 0 first; faces from a CSV have
no such file.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotion_ai import storage
from emotion_ai.storage.atomic_files import atomic_write, flush

FILE_NAMES = "files.jsonl"


def write_file_names(faces: str | Path, names: Iterable[str]) -> None:
    """Write the names into the folder of the faces, which is there. Raises `Unavailable`."""
    path = Path(faces, FILE_NAMES)
    with storage.failures(str(path)), atomic_write(path) as file:
        for name in names:
            file.write(json.dumps(name).encode() + b"\n")
        flush(file)
        os.replace(file.name, path)


def read_file_names(faces: str | Path) -> Iterator[str]:
    """The names in the order of their data rows; none where the faces are not from pictures."""
    path = Path(faces, FILE_NAMES)
    if path.exists():
        with storage.failures(str(path)), path.open("rb") as file:
            for line in file:
                yield json.loads(line)


def copy_file_names(faces: Path, target: str | Path) -> None:
    """Keep the names with other faces of the same source."""
    if (faces / FILE_NAMES).exists():
        write_file_names(target, read_file_names(faces))


def pick_file_names(faces: Path, rows: Iterable[int]) -> dict[int, str]:
    """The picture files of these data rows; none where the faces are not from pictures."""
    wanted = set(rows)
    return {row: name for row, name in enumerate(read_file_names(faces)) if row in wanted}
