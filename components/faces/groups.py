"""The groups that faces belong to, such as an age or a tone of skin, stored beside the faces.

`groups.npz` in the folder of the faces has the arrays of a `FaceGroups`, and its columns as JSON.
Faces whose source names no groups have no such file.
"""

import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.storage.array_files import unpack_arrays

GROUPS = "groups.npz"
# The code of a face that is in no group of a column.
NO_GROUP = 255
_MAX_BYTES = 1 << 30


class FaceGroups(NamedTuple):
    """The groups of a source's data rows.

    Attributes:
        names: The groups of each column, by the column's name.
        rows: Data rows, int64 [n], ascending.
        codes: Positions in the names of each column, or `NO_GROUP`, uint8 [n, columns].
    """

    names: dict[str, tuple[str, ...]]
    rows: NDArray[np.int64]
    codes: NDArray[np.uint8]

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the codes [m, columns] of some data rows [m]; `NO_GROUP` for unknown ones."""
        codes = np.full((len(rows), len(self.names)), NO_GROUP, np.uint8)
        if len(self.rows):
            at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
            is_known = self.rows[at] == rows
            codes[is_known] = self.codes[at[is_known]]
        return codes

    def faces_by_group(self, rows: NDArray[np.int64]) -> dict[str, dict[str, int]]:
        """Count some data rows by column and group."""
        codes = self.of_rows(rows)
        return {
            column: {
                name: int(np.count_nonzero(codes[:, k] == code)) for code, name in enumerate(names)
            }
            for k, (column, names) in enumerate(self.names.items())
        }


def write_groups(faces: str | Path, groups: FaceGroups) -> None:
    """Write the groups to an existing folder of faces.

    Raises:
        Unavailable: The folder cannot be written.
    """
    buffer = io.BytesIO()
    about = np.frombuffer(json.dumps(groups.names).encode(), np.uint8)
    np.savez(buffer, about=about, rows=groups.rows, codes=groups.codes)
    storage.write_bytes(str(Path(faces, GROUPS)), buffer.getvalue())


def read_groups(faces: str | Path) -> FaceGroups | None:
    """Read the groups in a folder of faces; None if their source names none.

    Raises:
        InputError: The file is damaged.
        Unavailable: It cannot be read.
    """
    path = Path(faces, GROUPS)
    if not path.exists():
        return None
    with storage.translate_errors(str(path)):
        content = path.read_bytes()
    try:
        arrays = unpack_arrays(content, _MAX_BYTES)
        names = json.loads(arrays["about"].tobytes())
        return FaceGroups(
            {column: tuple(groups) for column, groups in names.items()},
            arrays["rows"],
            arrays["codes"],
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not the groups of faces: {error}") from None


def copy_groups(faces: Path, target: str | Path) -> None:
    """Copy the groups, if any, to another folder of faces from the same source."""
    if groups := read_groups(faces):
        write_groups(target, groups)
