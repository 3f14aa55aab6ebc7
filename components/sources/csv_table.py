"""Faces out of a CSV in blocks of rows: images and targets, and the rows that break the schema.

Kaggle's files are read as they come: columns in any order, blanks around their names, capitals or
not, `Usage` and `subject` optional, other columns ignored.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED, Rows
from emotion_ai.faces.kinds import KEYPOINTS, KINDS, FaceKind, KindName, kind_of
from emotion_ai.sources import schema
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_lines import Record, read_records
from emotion_ai.sources.pixels import parse_pixels

BLOCK_ROWS = 1024

_OPTIONAL_COLUMNS = ("usage", "subject")


class BadRow(NamedTuple):
    """Why a row is left out; `row` counts data rows from 0, `line` lines of the file from 1.

    Where a row is a picture `file` names it, and there is no line and no column.
    """

    row: int
    line: int
    column: str
    check: str
    message: str
    file: str = ""

    @property
    def place(self) -> str:
        """Where it stands, for a person."""
        if self.file:
            return f"file {self.file}"
        return f"data row {self.row} counted from 0 (line {self.line}), column {self.column}"


class Columns(NamedTuple):
    """Where the columns stand; `position` maps lower-case names to positions in a line."""

    position: dict[str, int]
    ignored: tuple[str, ...]
    width: int


class Block(NamedTuple):
    """Some rows: the good ones, the reasons against the others, and how many were read."""

    rows: Rows
    bad: list[BadRow]
    read: int


class Table(NamedTuple):
    """A CSV whose header has been read and found to be of the expected kind."""

    source: str
    kind: FaceKind
    columns: Columns
    records: Iterator[Record]


def open_table(source: str, kind_name: KindName) -> Table:
    """Open a CSV and read its header. Raises `InputError` for a missing or repeated column."""
    kind = kind_of(kind_name)
    records = read_records(source)
    header = next(records, None)
    if header is None:
        raise InputError(f"{source}: empty; expected a CSV with a header")
    names = [_text(name).removeprefix("\ufeff").strip().lower() for name in header.fields]
    needed = (*kind.target_columns, kind.image_column)
    known = (*needed, *_OPTIONAL_COLUMNS)
    for name in known:
        if names.count(name) > 1:
            raise InputError(f"{source}: column {name} stands twice in the header")
    missing = [name for name in needed if name not in names]
    if missing:
        raise InputError(_missing_columns(source, kind, names, missing))
    position = {name: names.index(name) for name in known if name in names}
    ignored = tuple(name for name in names if name not in known)
    return Table(source, kind, Columns(position, ignored, len(names)), records)


def read_blocks(table: Table, codes: int, checks: DataChecks) -> Iterator[Block]:
    """Yield the table's rows in order, at most `BLOCK_ROWS` at a time.

    `codes` is the number of emotion codes (expressions). Targets are float32 [n, 15, 2] or uint8
    [n], subjects -1 and splits UNASSIGNED where the source does not say. Raises `InputError` where
    the table has more than `checks.max_rows` rows.
    """
    start = 0
    while records := list(itertools.islice(table.records, BLOCK_ROWS)):
        if start + len(records) > checks.max_rows:
            raise InputError(
                f"{table.source}: more than {checks.max_rows} rows; raise max_rows in the data "
                "checks to read it"
            )
        yield _read_block(table, records, start, codes, checks)
        start += len(records)


def _read_block(
    table: Table, records: list[Record], start: int, codes: int, checks: DataChecks
) -> Block:
    columns = table.columns
    whole = np.array([len(record.fields) == columns.width for record in records])
    ragged = [
        BadRow(
            start + int(k),
            records[k].line,
            "-",
            "malformed_row",
            f"{len(records[k].fields)} fields, expected {columns.width}",
        )
        for k in np.flatnonzero(~whole)
    ]
    kept = np.flatnonzero(whole)
    image_column = table.kind.image_column
    position = columns.position[image_column]
    images, bad_images = parse_pixels(
        [records[k].fields[position] for k in kept], table.kind.image_size
    )
    bad_cells = [
        schema.BadCell(cell.position, image_column, cell.check, cell.message) for cell in bad_images
    ]
    text = pd.DataFrame(
        {
            name: [_text(records[k].fields[position]) for k in kept]
            for name, position in columns.position.items()
            if name != image_column
        },
        dtype=str,
    )
    if table.kind is KEYPOINTS:
        values, bad_targets = schema.check_keypoints(text, checks.min_keypoints)
    else:
        values, bad_targets = schema.check_expression(text, codes)
    bad_cells += bad_targets
    good = np.ones(len(kept), dtype=bool)
    good[[cell.position for cell in bad_cells]] = False
    bad = ragged + [
        BadRow(start + int(kept[cell.position]), records[kept[cell.position]].line, *cell[1:])
        for cell in bad_cells
    ]
    values = values[good]
    rows = Rows(
        images[good],
        _targets(table.kind, values),
        _splits(values),
        kept[good].astype(np.int64) + start,
        _subjects(values),
    )
    return Block(rows, bad, len(records))


def _targets(kind: FaceKind, values: pd.DataFrame) -> NDArray:
    if kind is KEYPOINTS:
        return schema.keypoint_array(values)
    return values["emotion"].to_numpy(np.uint8)


def _splits(values: pd.DataFrame) -> NDArray[np.uint8]:
    if "usage" not in values:
        return np.full(len(values), UNASSIGNED, dtype=np.uint8)
    return values["usage"].map(schema.SPLITS).to_numpy(np.uint8)


def _subjects(values: pd.DataFrame) -> NDArray[np.int64]:
    if "subject" not in values:
        return np.full(len(values), -1, dtype=np.int64)
    return values["subject"].to_numpy(np.int64)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()


def _missing_columns(source: str, kind: FaceKind, names: list[str], missing: list[str]) -> str:
    shown = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
    have = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    message = f"{source}: column {shown} is missing; the header (line 1) has {have[:200]}"
    for other in KINDS.values():
        if other is not kind and set(other.target_columns) <= set(names):
            message += f"; this looks like a file of {other.name}, expected {kind.name}"
    return message
