"""Predictions as records, JSON lines and rows of Parquet: what both `predict` and `watch` write."""

import csv
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO, TextIO

from emotion_ai.errors import InputError, install_hint
from emotion_ai.faces.head_pose import Pose
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.faces.measures import MEASURES
from emotion_ai.terminal import CONTROLS, clean

# `Prediction.as_dict()`, `Face.as_dict()` or another object that JSON can hold.
Record = dict[str, Any]
# Values by column.
Row = dict[str, Any]

BOX_COLUMNS = ("left", "top", "width", "height")
# What the pictures are analysed for, where that is declared: a key of records, a column of tables.
PURPOSE = "purpose"
_TEXT_COLUMNS = ("file", "kind", "emotion", "cannot_tell", "error", PURPOSE)
# What a cell begins with that a spreadsheet takes for a formula, as wide characters too.
_FORMULA_STARTS = tuple(
    "=+-@\t\n"
    "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}"
    "\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
_INTEGER_COLUMNS = ("face", "frame", "track", "looks", "baseline_looks", "model_version")


def check_packages(format: str) -> None:
    """Raise `InputError` where a package that the format needs is not installed."""
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            f"format parquet needs package pyarrow: {install_hint('parquet')}, or choose csv"
        )


def json_line(record: Record) -> str:
    """Format a record as a line of JSON."""
    line = json.dumps(record, ensure_ascii=False)
    # Of these JSON escapes a part only.
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n"


def face_columns(labels: Iterable[str]) -> list[str]:
    """Return the columns of a face's row after those of its box.

    Args:
        labels: The emotions, of which each gets a column `probability_LABEL`.

    Returns:
        Names of columns, in order.
    """
    probabilities = [f"probability_{label}" for label in labels]
    measures = ["valence", *Pose._fields, *(f"measure_{name}" for name in MEASURES)]
    answer = ["score", "emotion", *probabilities, *measures, *COLUMNS]
    # The last columns are the newest: others keep their places.
    return [*answer, "model_version", "latency_ms", "cannot_tell", "face_score"]


def face_row(face: Record) -> Row:
    """Flatten `Face.as_dict()` to values of `BOX_COLUMNS` and `face_columns`."""
    answer = ("score", "emotion", "cannot_tell", "face_score", "valence")
    names = (*answer, "model_version", "latency_ms")
    row = face["box"] | {name: face[name] for name in names} | (face["pose"] or {})
    row |= {f"measure_{name}": size for name, size in (face["measures"] or {}).items()}
    row |= {f"probability_{name}": p for name, p in face["probabilities"].items()}
    for name, (x, y) in face["keypoints"].items():
        row |= {f"{name}_x": x, f"{name}_y": y}
    return row


class CsvRows:
    """Writes rows as CSV, whose texts a spreadsheet shows and does not execute.

    A text that begins as a formula gets an apostrophe before it, as OWASP advises
    (https://owasp.org/www-community/attacks/CSV_Injection). Control characters are replaced.

    Args:
        file: A text file, opened with `newline=""`.
        columns: The names of the columns; a row may lack some.
        about: Values that all rows have, in columns of their own after these.
    """

    def __init__(self, file: TextIO, columns: Sequence[str], about: Mapping[str, str] = {}) -> None:
        self._file = file
        self._columns = columns = [*columns, *about]
        self._about = about
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(map(_csv_cell, columns))

    def add(self, row: Row) -> None:
        """Write a row."""
        whole = {**row, **self._about}
        self._writer.writerow([_csv_cell(whole.get(name)) for name in self._columns])

    def close(self) -> None:
        """Write the rest, and close the file."""
        self._file.close()


def _csv_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


class ParquetRows:
    """Writes rows as Parquet: numbers as double, texts as string, counts as int64.

    Args:
        file: A binary file or a path.
        columns: The names of the columns; a row may lack some.
        max_rows_held: Rows of a group, which are in memory at once.
        about: Values that all rows have, in columns of their own after these.
    """

    def __init__(
        self,
        file: BinaryIO | str,
        columns: Sequence[str],
        max_rows_held: int,
        about: Mapping[str, str] = {},
    ) -> None:
        import pyarrow
        from pyarrow import parquet

        types = dict.fromkeys(_TEXT_COLUMNS, pyarrow.string())
        types |= dict.fromkeys(_INTEGER_COLUMNS, pyarrow.int64())
        self._schema = pyarrow.schema(
            [(name, types.get(name, pyarrow.float64())) for name in (*columns, *about)]
        )
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._max_rows_held = max_rows_held
        self._about = about
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Write a row, with the others of its group."""
        self._rows.append({**row, **self._about})
        if len(self._rows) == self._max_rows_held:
            self._write_group()

    def close(self) -> None:
        """Write the rows that are left, and the end of the file."""
        try:
            self._write_group()
        finally:
            self._writer.close()

    def _write_group(self) -> None:
        import pyarrow

        self._writer.write_table(pyarrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []
