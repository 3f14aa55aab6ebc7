"""Tables that are written row by row: CSV or Parquet, by the file's suffix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from emotion_ai.client.records import CsvRows, ParquetRows, Row

_MAX_ROWS_HELD = 1_000


class RowWriter(Protocol):
    """A file of rows with fixed columns."""

    def add(self, row: Row) -> None:
        """Write a row."""

    def close(self) -> None:
        """Write the rest."""


def open_rows(path: Path, columns: Sequence[str], about: Mapping[str, str]) -> RowWriter:
    """Open a table, .csv or .parquet, for writing; `about` is what all its rows have."""
    if path.suffix.lower() == ".parquet":
        return ParquetRows(str(path), columns, _MAX_ROWS_HELD, about)
    return CsvRows(path.open("w", encoding="utf-8", newline=""), columns, about)


def rounded(value: float) -> float:
    """Round a change or a mean to four digits, without the sign that a zero may have."""
    return round(value, 4) + 0.0
