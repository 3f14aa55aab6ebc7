"""Small CSVs beside a source that say more of its rows."""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.sources.csv_lines import CsvLine, read_lines


def read_header(uri: str) -> list[str]:
    """Read the names of a CSV's columns, in lower case without the blanks around them.

    Raises:
        InputError: The file is damaged.
        Unavailable: The storage failed.
    """
    return _names(next(read_lines(uri), None))


def read_cells(uri: str, columns: Sequence[str], max_rows: int) -> pd.DataFrame:
    """Read columns of a CSV as text without the blanks around it; others are not read.

    Args:
        uri: The CSV.
        columns: Their names, in lower case; the header's may be in any case.
        max_rows: The number of rows that it may have.

    Raises:
        InputError: A column is missing or repeated, a line has another number of fields, or there
            are more rows.
        Unavailable: The storage failed.
    """
    lines = read_lines(uri)
    names = _names(next(lines, None))
    positions = [names.index(name) for name in columns if names.count(name) == 1]
    if len(positions) < len(columns):
        found = ", ".join(names[:5])[:100] or "nothing"
        raise InputError(
            f"{uri}: not a CSV with the columns {','.join(columns)}: the header has {found}"
        )
    cells = []
    for line in itertools.islice(lines, max_rows + 1):
        if len(line.fields) != len(names):
            raise InputError(
                f"{uri}: line {line.number}: {len(line.fields)} fields, expected {len(names)}"
            )
        cells.append([_decode(line.fields[position]) for position in positions])
    if len(cells) > max_rows:
        raise InputError(f"{uri}: more than max_rows {max_rows} rows")
    return pd.DataFrame(cells, columns=list(columns), dtype=str)


def read_rows(uri: str, cells: "pd.Series[str]", max_rows: int) -> NDArray[np.int64]:
    """Read a column of data rows, each of which may be there once.

    Args:
        uri: The CSV.
        cells: The column, see `read_cells`.
        max_rows: The number of rows that the source may have.

    Returns:
        The rows, int64 [n].

    Raises:
        InputError: A cell is no data row, or is there twice.
    """
    numbers = pd.to_numeric(cells, errors="coerce")
    is_row = (numbers >= 0) & (numbers < max_rows) & (numbers % 1 == 0) & ~numbers.duplicated()
    refuse_cell(uri, cells, is_row, f"a whole number from 0 below {max_rows}, each row once")
    return numbers.to_numpy(np.int64)


def refuse_cell(
    uri: str, cells: "pd.Series[str]", is_good: "pd.Series[bool]", expected: str
) -> None:
    """Raise `InputError` for the first cell of a column that is not good.

    Args:
        uri: The CSV.
        cells: The column, see `read_cells`.
        is_good: Of each cell.
        expected: What a good one is, in words.
    """
    for at in np.flatnonzero(~is_good.to_numpy(bool))[:1]:
        raise InputError(
            f"{uri}: data row {cells.index[at]} (from 0), column {cells.name}: "
            f"{cells.iloc[at][:20]!r}; expected {expected}"
        )


def _names(header: CsvLine | None) -> list[str]:
    return [_decode(name).lower() for name in header.fields] if header else []


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()
