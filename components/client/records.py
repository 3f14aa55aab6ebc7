"""Predictions as records, JSON lines and rows of Parquet: what both `predict` and `watch` write."""

import importlib.util
import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from emotion_ai.errors import InputError, install_hint
from emotion_ai.faces.keypoints import COLUMNS

# `Prediction.as_dict()`, `Face.as_dict()` or another object that JSON can hold.
Record = dict[str, Any]
# Values by column.
Row = dict[str, Any]

BOX_COLUMNS = ("left", "top", "width", "height")
_TEXT_COLUMNS = ("file", "emotion", "error")
_INTEGER_COLUMNS = ("face", "frame", "track", "model_version")


def check_packages(format: str) -> None:
    """Raise `InputError` where a package that the format needs is not installed."""
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise InputError(
            f"format parquet needs package pyarrow: {install_hint('parquet')}, or choose csv"
        )


def json_line(record: Record) -> str:
    """Format a record as a line of JSON."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def face_columns(labels: Iterable[str]) -> list[str]:
    """Return the columns of a face's row after those of its box.

    Args:
        labels: The emotions, of which each gets a column `probability_LABEL`.

    Returns:
        Names of columns, in order.
    """
    probabilities = [f"probability_{label}" for label in labels]
    return ["score", "emotion", *probabilities, *COLUMNS, "model_version", "latency_ms"]


def face_row(face: Record) -> Row:
    """Flatten `Face.as_dict()` to values of `BOX_COLUMNS` and `face_columns`."""
    row = face["box"] | {name: face[name] for name in ("score", "emotion", "model_version")}
    row["latency_ms"] = face["latency_ms"]
    row |= {f"probability_{name}": p for name, p in face["probabilities"].items()}
    for name, (x, y) in face["keypoints"].items():
        row |= {f"{name}_x": x, f"{name}_y": y}
    return row


class ParquetRows:
    """Writes rows as Parquet: numbers as double, texts as string, counts as int64.

    Args:
        file: A binary file or a path.
        columns: The names of the columns; a row may lack some.
        max_rows_held: Rows of a group, which are in memory at once.
    """

    def __init__(self, file: BinaryIO | str, columns: Sequence[str], max_rows_held: int) -> None:
        import pyarrow
        from pyarrow import parquet

        types = dict.fromkeys(_TEXT_COLUMNS, pyarrow.string())
        types |= dict.fromkeys(_INTEGER_COLUMNS, pyarrow.int64())
        self._schema = pyarrow.schema(
            [(name, types.get(name, pyarrow.float64())) for name in columns]
        )
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._max_rows_held = max_rows_held
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Write a row, with the others of its group."""
        self._rows.append(row)
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
