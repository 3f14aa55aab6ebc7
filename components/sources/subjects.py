"""Who is shown: the optional NAME.subjects.csv (`row,subject`) beside NAME.csv."""

import io

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources.uri import subjects_uri

_MAX_BYTES = 256 * 1024 * 1024

SUBJECT_SCHEMA = pa.DataFrameSchema(
    {
        "row": pa.Column(int, pa.Check.ge(0), unique=True),
        "subject": pa.Column(int, pa.Check.ge(0)),
    }
)


def read_subjects(source: str, max_rows: int) -> NDArray[np.int64] | None:
    """The subject of each data row of the source (-1 = unknown), None where there is no file.

    The array ends with the last row that the file names. Raises `InputError` for a file that breaks
    the schema or names a row from `max_rows` on.
    """
    uri = subjects_uri(source)
    if not storage.exists(uri):
        return None
    text = storage.read_bytes(uri, _MAX_BYTES)
    try:
        frame = pd.read_csv(io.BytesIO(text), skipinitialspace=True)
        frame = SUBJECT_SCHEMA.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        case = error.failure_cases.iloc[0]
        where = "" if pd.isna(case["index"]) else f" data row {int(case['index'])} (from 0),"
        column = "" if pd.isna(case["column"]) else f" column {case['column']}:"
        raise InputError(
            f"{uri}:{where}{column} {case['failure_case']} fails {case['check']}; expected the "
            "columns row,subject of whole numbers from 0, each row once"
        ) from None
    except ValueError as error:
        raise InputError(f"{uri}: not a CSV with the columns row,subject: {error}") from None
    if not len(frame):
        return np.empty(0, dtype=np.int64)
    if frame["row"].max() >= max_rows:
        raise InputError(f"{uri}: column row: {frame['row'].max()} is beyond max_rows {max_rows}")
    subjects = np.full(frame["row"].max() + 1, -1, dtype=np.int64)
    subjects[frame["row"]] = frame["subject"]
    return subjects


def look_up(subjects: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """The subjects of some data rows, -1 where the file does not name the row."""
    found = np.full(len(row), -1, dtype=np.int64)
    named = row < len(subjects)
    found[named] = subjects[row[named]]
    return found
