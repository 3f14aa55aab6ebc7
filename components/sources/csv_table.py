"""Read faces from a CSV in blocks of rows: images, targets, and the rows that break the schema.

Kaggle's files are read unchanged: columns in any order, names in any case and with blanks around
them, `Usage` and `subject` optional, other columns ignored.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED, Rows
from emotion_ai.faces.kinds import KEYPOINTS, KINDS, FaceKind, KindName, kind_of
from emotion_ai.faces.labels import EmotionReader
from emotion_ai.sources import schema
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_lines import CsvLine, read_lines
from emotion_ai.sources.pixels import parse_pixels

BLOCK_ROWS = 1024

_OPTIONAL_COLUMNS = ("usage", "subject")


class BadRow(NamedTuple):
    """A dropped row and the reason.

    Attributes:
        row: The data row, counted from 0.
        line: The line of the file, counted from 1; 0 for a picture.
        column: The column with the error, "" for a picture.
        check: The field of `DataChecks` that tolerates the error.
        message: What is wrong and what was expected.
        file: The name of the picture, "" for a row of a CSV.
    """

    row: int
    line: int
    column: str
    check: str
    message: str
    file: str = ""

    @property
    def location(self) -> str:
        """The row's location in words, for messages and reports."""
        if self.file:
            return f"file {self.file}"
        return f"data row {self.row} counted from 0 (line {self.line}), column {self.column}"


class Columns(NamedTuple):
    """The header of a CSV.

    Attributes:
        position: Positions in a line by lower-case name, of the columns that are read.
        ignored: Names of the other columns.
        width: The number of columns.
    """

    position: dict[str, int]
    ignored: tuple[str, ...]
    width: int


class Block(NamedTuple):
    """Some rows of a source.

    Attributes:
        rows: The valid rows.
        bad: The dropped rows and why; a row may be in it more than once.
        rows_read: How many rows were read, valid or not.
        emotion_words: The valid rows by emotion as the source writes it, and its code.
        split_words: The valid rows by split as the source writes it.
    """

    rows: Rows
    bad: list[BadRow]
    rows_read: int
    emotion_words: Counter[tuple[str, int]]
    split_words: Counter[str]


class Table(NamedTuple):
    """An open CSV whose header has the columns of its kind of faces."""

    source: str
    kind: FaceKind
    columns: Columns
    lines: Iterator[CsvLine]


def open_table(source: str, kind_name: KindName) -> Table:
    """Open a CSV and read its header.

    Args:
        source: The CSV's path, `file://` or `gs://` URI.
        kind_name: Whether it holds keypoints or expressions.

    Returns:
        The table, to be read with `read_blocks`.

    Raises:
        InputError: The file is missing, damaged or empty, or a column is missing or repeated.
        Unavailable: The storage failed.
    """
    kind = kind_of(kind_name)
    lines = read_lines(source)
    header = next(lines, None)
    if header is None:
        raise InputError(f"{source}: empty; expected a CSV with a header")
    names = [_decode(name).lower() for name in header.fields]
    required = (*kind.target_columns, kind.image_column)
    known = (*required, *_OPTIONAL_COLUMNS)
    for name in known:
        if names.count(name) > 1:
            raise InputError(f"{source}: column {name} is in the header twice")
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(_missing_columns(source, kind, names, missing))
    position = {name: names.index(name) for name in known if name in names}
    ignored = tuple(name for name in names if name not in known)
    return Table(source, kind, Columns(position, ignored, len(names)), lines)


def read_blocks(table: Table, emotions: EmotionReader, checks: DataChecks) -> Iterator[Block]:
    """Yield the table's rows in order, at most `BLOCK_ROWS` at a time.

    Args:
        table: The table, from `open_table`.
        emotions: The label set; ignored for keypoints.
        checks: `min_keypoints` and `max_rows` apply here.

    Yields:
        Blocks. Targets are float32 [n, 15, 2] in pixels, NaN if not annotated, or uint8 [n]. The
        subject is -1 and the split UNASSIGNED if the source has no such column.

    Raises:
        InputError: The table has more than `checks.max_rows` rows, or is damaged.
        Unavailable: The storage failed.

    Example:
        table = open_table("fer2013.csv", "expression")
        for block in read_blocks(table, EmotionReader(label_set_names("fer7")), DataChecks()):
            print(block.rows.images.shape, len(block.bad))
    """
    start = 0
    while lines := list(itertools.islice(table.lines, BLOCK_ROWS)):
        if start + len(lines) > checks.max_rows:
            raise InputError(
                f"{table.source}: more than {checks.max_rows} rows; raise max_rows in the data "
                "checks to read it"
            )
        yield _read_block(table, lines, start, emotions, checks)
        start += len(lines)


def _read_block(
    table: Table, lines: list[CsvLine], start: int, emotions: EmotionReader, checks: DataChecks
) -> Block:
    columns = table.columns
    complete = np.array([len(line.fields) == columns.width for line in lines])
    bad_rows = [
        BadRow(
            row=start + int(k),
            line=lines[k].number,
            column="-",
            check="malformed_row",
            message=f"{len(lines[k].fields)} fields, expected {columns.width}",
        )
        for k in np.flatnonzero(~complete)
    ]
    kept = np.flatnonzero(complete)
    image_column = table.kind.image_column
    position = columns.position[image_column]
    images, bad_images = parse_pixels(
        [lines[k].fields[position] for k in kept], table.kind.image_size
    )
    bad_cells = [
        schema.BadCell(cell.position, image_column, cell.check, cell.message) for cell in bad_images
    ]
    text = pd.DataFrame(
        {
            name: [_decode(lines[k].fields[position]) for k in kept]
            for name, position in columns.position.items()
            if name != image_column
        },
        dtype=str,
    )
    if table.kind is KEYPOINTS:
        values, bad_targets = schema.check_keypoints(text, checks.min_keypoints)
    else:
        values, bad_targets = schema.check_expression(text, emotions)
    bad_cells += bad_targets
    valid = np.ones(len(kept), dtype=bool)
    valid[[cell.position for cell in bad_cells]] = False
    bad_rows += [
        BadRow(start + int(kept[cell.position]), lines[kept[cell.position]].number, *cell[1:])
        for cell in bad_cells
    ]
    values = values[valid]
    rows = Rows(
        images[valid],
        _targets(table.kind, values),
        _splits(values),
        kept[valid].astype(np.int64) + start,
        _subjects(values),
    )
    emotion_words, split_words = _count_words(text[valid], values)
    return Block(rows, bad_rows, len(lines), emotion_words, split_words)


def _targets(kind: FaceKind, values: pd.DataFrame) -> NDArray:
    if kind is KEYPOINTS:
        return schema.keypoint_array(values)
    return values["emotion"].to_numpy(np.uint8)


def _splits(values: pd.DataFrame) -> NDArray[np.uint8]:
    if "usage" not in values:
        return np.full(len(values), UNASSIGNED, dtype=np.uint8)
    return values["usage"].to_numpy(np.uint8)


def _subjects(values: pd.DataFrame) -> NDArray[np.int64]:
    if "subject" not in values:
        return np.full(len(values), -1, dtype=np.int64)
    return values["subject"].to_numpy(np.int64)


def _count_words(
    text: pd.DataFrame, values: pd.DataFrame
) -> tuple[Counter[tuple[str, int]], Counter[str]]:
    emotions: Counter[tuple[str, int]] = Counter()
    if "emotion" in text:
        emotions.update(zip(text["emotion"], values["emotion"].astype(int), strict=True))
    return emotions, Counter(text.get("usage", ()))


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()


def _missing_columns(source: str, kind: FaceKind, names: list[str], missing: list[str]) -> str:
    missing_text = ", ".join(missing[:3]) + (" ..." if len(missing) > 3 else "")
    header = ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")
    message = f"{source}: column {missing_text} is missing; the header (line 1) has {header[:200]}"
    for other in KINDS.values():
        if other is not kind and set(other.target_columns) <= set(names):
            message += f"; this looks like a file of {other.name}, expected {kind.name}"
    return message
