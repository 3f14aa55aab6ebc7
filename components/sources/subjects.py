"""The people shown: the optional NAME.subjects.csv (`row,subject`) beside NAME.csv."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources.schema import MISSING
from emotion_ai.sources.sidecar import read_cells
from emotion_ai.sources.uri import subjects_uri

_COLUMNS = ("row", "subject")
# Up to it a float represents every whole number exactly.
_MAX_NUMBER = 2**53


def read_subjects(source: str, max_rows: int) -> NDArray[np.int64] | None:
    """Read the subject of each data row of a source.

    The file may be written by pandas or Excel: numbers as 12.0, empty cells or NA for a person who
    is not known, other columns, semicolons.

    Args:
        source: The source's URI; its subjects file is at `subjects_uri(source)`.
        max_rows: The number of rows that the source may have.

    Returns:
        int64 subjects by data row, -1 if unknown, up to the last row in the file; None if there
        is no subjects file.

    Raises:
        InputError: The file is no such CSV, or has a row of `max_rows` or more.
        Unavailable: The storage failed.
    """
    uri = subjects_uri(source)
    if not storage.exists(uri):
        return None
    text = read_cells(uri, _COLUMNS, max_rows)
    is_missing = text.apply(lambda column: column.str.lower().isin(MISSING)).astype(bool)
    kept = ~is_missing["row"] | ~is_missing["subject"]
    if not kept.any():
        return np.empty(0, dtype=np.int64)
    text, is_missing = text[kept], is_missing[kept]
    is_missing["row"] = False
    numbers = text.apply(pd.to_numeric, errors="coerce")
    is_whole = (numbers >= 0) & (numbers <= _MAX_NUMBER) & (numbers % 1 == 0)
    is_bad = ~is_whole & ~is_missing
    is_bad["row"] |= numbers["row"].duplicated()
    for row, column in np.argwhere(is_bad.to_numpy()):
        raise InputError(
            f"{uri}: data row {text.index[row]} (from 0), column {_COLUMNS[column]}: "
            f"{text.iat[row, column][:20]!r}; expected the columns row,subject of whole numbers "
            "from 0, each row once"
        )
    rows = numbers["row"].to_numpy(np.int64)
    if rows.max() >= max_rows:
        raise InputError(f"{uri}: column row: {rows.max()} is beyond max_rows {max_rows}")
    subjects = np.full(rows.max() + 1, -1, dtype=np.int64)
    subjects[rows] = numbers["subject"].fillna(-1).to_numpy(np.int64)
    return subjects


def look_up_subjects(subjects: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the subjects of data rows [n], -1 for rows beyond the last known one.

    Args:
        subjects: The subjects by data row, from `read_subjects`.
        rows: The data rows, int64 [n].
    """
    result = np.full(len(rows), -1, dtype=np.int64)
    known = rows < len(subjects)
    result[known] = subjects[rows[known]]
    return result
