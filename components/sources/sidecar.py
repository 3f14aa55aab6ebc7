"""Small CSVs beside a source that say more of its rows."""

import itertools
from collections.abc import Sequence

import pandas as pd

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


def _names(header: CsvLine | None) -> list[str]:
    return [_decode(name).lower() for name in header.fields] if header else []


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()
