"""The groups that faces belong to: the optional NAME.groups.csv beside a source.

One column says which face: `row` (a data row, counted from 0) or `file` (a picture of the source).
Each other column is a kind of group that its user names, such as `age`, `tone`, `glasses` or
`light`, and its cells are the groups. An empty cell is a face of no group, as is one that is not in
the file.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.groups import NO_GROUP, FaceGroups
from emotion_ai.sources.schema import MISSING
from emotion_ai.sources.sidecar import read_cells, read_header, read_rows, refuse_cell
from emotion_ai.sources.uri import groups_uri

_KEYS = ("row", "file")
# "none" may be a group: of glasses.
_MISSING = MISSING - {"none"}
_MAX_COLUMNS, _MAX_GROUPS, _MAX_LETTERS = 16, 30, 40
_NAME = f"1 to {_MAX_LETTERS} letters of UTF-8 without a slash"
# What decoding puts in the place of bytes that are not UTF-8.
_NOT_UTF_8 = "\N{REPLACEMENT CHARACTER}"


def read_source_groups(source: str, files: Sequence[str], max_rows: int) -> FaceGroups | None:
    """Read the groups of a source's faces.

    Args:
        source: The source's URI; its groups are at `groups_uri(source)`.
        files: The picture of each data row; empty for a CSV.
        max_rows: The number of rows that the source may have.

    Returns:
        The groups; None if there is no such file.

    Raises:
        InputError: The file is no such CSV, names a face twice or one that is not there, or has too
            many columns or groups.
        Unavailable: The storage failed.
    """
    uri = groups_uri(source)
    if not storage.exists(uri):
        return None
    key, columns = _check_header(uri, read_header(uri))
    cells = read_cells(uri, (key, *columns), max_rows)
    rows = _read_rows(uri, cells[key], files, max_rows)
    order = np.argsort(rows)
    names, codes = {}, np.full((len(rows), len(columns)), NO_GROUP, np.uint8)
    for k, column in enumerate(columns):
        names[column], codes[:, k] = _read_column(uri, cells[column])
    return FaceGroups(names, rows[order], codes[order])


def check_last_row(source: str, groups: FaceGroups, rows_read: int) -> None:
    """Raise `InputError` if groups are named for rows beyond the last one of the source."""
    if len(groups.rows) and groups.rows[-1] >= rows_read:
        raise InputError(
            f"{groups_uri(source)}: column row: {groups.rows[-1]} is beyond the last data row of "
            f"{source}, {rows_read - 1} (counted from 0)"
        )


def _check_header(uri: str, header: list[str]) -> tuple[str, list[str]]:
    """Return the column that says which face, and those of the groups."""
    key = next((name for name in _KEYS if name in header), None)
    columns = [name for name in header if name not in _KEYS]
    if key is None or not columns:
        found = ", ".join(header[:5])[:100] or "nothing"
        raise InputError(
            f"{uri}: expected a column row or file, and a column for each kind of group, such as "
            f"age; the header has {found}"
        )
    for k, name in enumerate(header, start=1):
        if not _is_name(name):
            raise InputError(
                f"{uri}: column {k} is named {name[:_MAX_LETTERS]!r}; expected {_NAME}"
            )
        if header.count(name) > 1:
            raise InputError(f"{uri}: column {name} is in the header twice")
    if len(columns) > _MAX_COLUMNS:
        raise InputError(
            f"{uri}: {len(columns)} columns of groups; expected {_MAX_COLUMNS} or less"
        )
    return key, columns


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _MAX_LETTERS and text.isprintable() and not {"/", _NOT_UTF_8} & {*text}


def _read_rows(
    uri: str, cells: "pd.Series[str]", files: Sequence[str], max_rows: int
) -> NDArray[np.int64]:
    if cells.name == "row":
        return read_rows(uri, cells, max_rows)
    if not files:
        raise InputError(f"{uri}: column file: the source has no pictures; expected column row")
    numbers = cells.map({name: row for row, name in enumerate(files)})
    expected = f"a picture of the source, such as {files[0]}, each once"
    refuse_cell(uri, cells, numbers.notna() & ~numbers.duplicated(), expected)
    return numbers.to_numpy(np.int64)


def _read_column(uri: str, cells: "pd.Series[str]") -> tuple[tuple[str, ...], NDArray[np.uint8]]:
    """Return the groups of a column in order, and the code of each cell."""
    is_group = ~cells.str.lower().isin(_MISSING)
    refuse_cell(uri, cells, ~is_group | cells.map(_is_name).astype(bool), _NAME)
    names = tuple(sorted(cells[is_group].unique()))
    if len(names) > _MAX_GROUPS:
        raise InputError(
            f"{uri}: column {cells.name}: {len(names)} groups, such as {names[0]!r} and "
            f"{names[1]!r}; expected {_MAX_GROUPS} or less: make ranges of numbers, such as 20-29"
        )
    code_of = {name: code for code, name in enumerate(names)}
    return names, cells.map(code_of).fillna(NO_GROUP).to_numpy(np.uint8)
