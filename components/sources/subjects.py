"""The people shown: the optional NAME.subjects.csv (`row,subject`) beside NAME.csv."""

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
    """Read the subject of each data row of a source.

    Args:
        source: The source's URI; its subjects file is at `subjects_uri(source)`.
        max_rows: The number of rows that the source may have.

    Returns:
        int64 subjects by data row, -1 if unknown, up to the last row in the file; None if there
        is no subjects file.

    Raises:
        InputError: The file breaks the schema, or has a row of `max_rows` or more.
        Unavailable: The storage failed.
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
        row = "" if pd.isna(case["index"]) else f" data row {int(case['index'])} (from 0),"
        column = "" if pd.isna(case["column"]) else f" column {case['column']}:"
        raise InputError(
            f"{uri}:{row}{column} {case['failure_case']} fails {case['check']}; expected the "
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
