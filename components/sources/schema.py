"""The schema of a row without its pixels: emotion, usage, subject, keypoints.

The functions convert a block of rows from text to numbers, and return the cells that break the
schema. Positions are those of the rows in the block.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import COLUMNS, FRAME, NAMES
from emotion_ai.faces.labels import OTHER_EMOTION, EmotionReader, words_like
from emotion_ai.faces.split_words import SPLIT_WORDS

_OPTIONAL = {
    "usage": pa.Column(
        float, pa.Check.isin([float(code) for code in set(SPLIT_WORDS.values())]), required=False
    ),
    "subject": pa.Column(
        float,
        # -1 is unknown. Up to 2**53 a float represents every whole number exactly.
        pa.Check(lambda subject: (subject >= -1) & (subject <= 2**53) & (subject % 1 == 0)),
        required=False,
    ),
}

# Kaggle's annotations go up to the far edge of the last pixel, which is part of the frame.
KEYPOINT_SCHEMA = pa.DataFrameSchema(
    {
        **{
            column: pa.Column(float, pa.Check.in_range(0, FRAME), nullable=True)
            for column in COLUMNS
        },
        **_OPTIONAL,
    }
)

# What R, pandas, Excel and databases write for a value that is not there, in lower case.
MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"})
_MAX_SHOWN = 20
_OPTIONAL_VIOLATIONS = {
    "usage": (
        "malformed_row",
        "expected Training, PublicTest, PrivateTest or train, validation, test",
    ),
    "subject": ("malformed_row", "expected a whole number from 0"),
}


class BadCell(NamedTuple):
    """A cell that breaks the schema.

    Attributes:
        position: The row's position in the block.
        column: The column's name.
        check: The field of `DataChecks` that tolerates the error.
        message: What is wrong and what was expected.
    """

    position: int
    column: str
    check: str
    message: str


def expression_schema(emotions: EmotionReader) -> pa.DataFrameSchema:
    """Return the schema of expressions whose codes are those of the label set or OTHER_EMOTION."""
    codes = [*range(len(emotions.names)), OTHER_EMOTION]
    emotion = pa.Column(float, pa.Check.isin([float(code) for code in codes]))
    return pa.DataFrameSchema({"emotion": emotion, **_OPTIONAL})


def check_expression(
    text: pd.DataFrame, emotions: EmotionReader
) -> tuple[pd.DataFrame, list[BadCell]]:
    """Convert and check a block of expressions.

    Args:
        text: The columns emotion and, if present, usage and subject.
        emotions: The label set.

    Returns:
        The same columns as numbers, and the cells that break the schema.
    """
    values = _convert_optional(text)
    codes = {cell: _emotion_code(cell, emotions) for cell in text["emotion"].unique()}
    values["emotion"] = text["emotion"].map(codes).astype(float)
    violations = {
        "emotion": ("unknown_label", f"expected an emotion code 0-{len(emotions.names) - 1}"),
        **_OPTIONAL_VIOLATIONS,
    }
    bad = _bad_cells(expression_schema(emotions), values, text, violations)
    return values, [_explain_word(cell, text["emotion"].iloc[cell.position]) for cell in bad]


def _explain_word(cell: BadCell, emotion: str) -> BadCell:
    """Say what to do about an emotion that is known but not in the label set."""
    if cell.column != "emotion" or not words_like(emotion):
        return cell
    return cell._replace(
        message=f"{emotion[:_MAX_SHOWN]!r} is not in the label set; name the emotions to learn "
        "(--emotions) to leave it out"
    )


def _emotion_code(cell: str, emotions: EmotionReader) -> float:
    """Return the code that a cell holds as a number or a word; NaN for none of the label set."""
    number = pd.to_numeric(cell, errors="coerce")
    if np.isnan(number):
        code = emotions.code_of(cell)
        return np.nan if code is None else float(code)
    return float(number) if number in range(len(emotions.names)) else np.nan


def _convert_optional(text: pd.DataFrame) -> pd.DataFrame:
    """Copy a block with its usage as codes of splits and its subject as numbers, -1 if missing."""
    values = text.copy()
    if "usage" in text:
        values["usage"] = text["usage"].str.lower().map(SPLIT_WORDS).astype(float)
    if "subject" in text:
        number = pd.to_numeric(text["subject"], errors="coerce").astype(float)
        missing = text["subject"].str.lower().isin(MISSING)
        values["subject"] = number.mask(number < 0).mask(missing, -1)
    return values


def check_keypoints(text: pd.DataFrame, min_keypoints: int) -> tuple[pd.DataFrame, list[BadCell]]:
    """Convert and check a block of keypoints.

    Args:
        text: The 30 coordinates and, if present, usage and subject.
        min_keypoints: The least number of annotated keypoints in a row.

    Returns:
        The same columns as numbers (NaN = not annotated), and the cells that break the schema.
    """
    values = _convert_optional(text)
    for name in COLUMNS:
        number = pd.to_numeric(text[name], errors="coerce").astype(float)
        # Text that is no number becomes infinity, which breaks the schema.
        values[name] = number.mask(number.isna() & ~text[name].str.lower().isin(MISSING), np.inf)
    violations = {
        **dict.fromkeys(COLUMNS, ("keypoint_outside", f"expected 0-{FRAME}")),
        **_OPTIONAL_VIOLATIONS,
    }
    bad = [
        cell._replace(check="keypoint_value")
        if cell.column in COLUMNS and np.isinf(values[cell.column].iloc[cell.position])
        else cell
        for cell in _bad_cells(KEYPOINT_SCHEMA, values, text, violations)
    ]
    return values, bad + _check_points(keypoint_array(values), min_keypoints)


def keypoint_array(values: pd.DataFrame) -> NDArray[np.float32]:
    """Return the coordinates of a converted block as float32 [n, 15, 2]."""
    return values[list(COLUMNS)].to_numpy(np.float32).reshape(-1, len(NAMES), 2)


def _check_points(points: NDArray[np.float32], min_keypoints: int) -> list[BadCell]:
    annotated = ~np.isnan(points)
    bad = [
        BadCell(int(row), f"{NAMES[point]}_{'xy'[axis]}", "keypoint_value", "x or y is missing")
        for row, point, axis in np.argwhere(~annotated & annotated[..., ::-1])
    ]
    counts = annotated.all(axis=2).sum(axis=1)
    return bad + [
        BadCell(
            int(row),
            "keypoints",
            "too_few_keypoints",
            f"{counts[row]} of {len(NAMES)} are given, expected at least {min_keypoints}",
        )
        for row in np.flatnonzero(counts < min_keypoints)
    ]


def _bad_cells(
    schema: pa.DataFrameSchema,
    values: pd.DataFrame,
    text: pd.DataFrame,
    violations: dict[str, tuple[str, str]],
) -> list[BadCell]:
    try:
        schema.validate(values, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.drop_duplicates(["index", "column"])
        if cases["index"].isna().any():
            raise
        return [
            BadCell(
                int(position),
                column,
                violations[column][0],
                f"{text[column].iloc[int(position)][:_MAX_SHOWN]!r}, {violations[column][1]}",
            )
            for position, column in zip(cases["index"], cases["column"], strict=True)
        ]
    return []
