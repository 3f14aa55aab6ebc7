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

SPLITS = {"Training": 0, "PublicTest": 1, "PrivateTest": 2}

_OPTIONAL = {
    "usage": pa.Column(str, pa.Check.isin(list(SPLITS)), required=False),
    "subject": pa.Column(
        float,
        # Up to 2**53 a float represents every whole number exactly.
        pa.Check(lambda subject: (subject >= 0) & (subject <= 2**53) & (subject % 1 == 0)),
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

_NOT_ANNOTATED = ("", "nan", "NaN")
_MAX_SHOWN = 20
_OPTIONAL_VIOLATIONS = {
    "usage": ("malformed_row", f"expected one of {', '.join(SPLITS)}"),
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


def expression_schema(codes: int) -> pa.DataFrameSchema:
    """Return the schema of expressions with emotion codes 0 to `codes` - 1."""
    emotion = pa.Column(float, pa.Check.isin([float(code) for code in range(codes)]))
    return pa.DataFrameSchema({"emotion": emotion, **_OPTIONAL})


def check_expression(text: pd.DataFrame, codes: int) -> tuple[pd.DataFrame, list[BadCell]]:
    """Convert and check a block of expressions.

    Args:
        text: The columns emotion and, if present, usage and subject.
        codes: The number of emotion codes.

    Returns:
        The same columns as numbers (usage stays text), and the cells that break the schema.
    """
    values = text.copy()
    for name in {"emotion", "subject"} & set(text):
        values[name] = pd.to_numeric(text[name], errors="coerce").astype(float)
    violations = {
        "emotion": ("unknown_label", f"expected an emotion code 0-{codes - 1}"),
        **_OPTIONAL_VIOLATIONS,
    }
    return values, _bad_cells(expression_schema(codes), values, text, violations)


def check_keypoints(text: pd.DataFrame, min_keypoints: int) -> tuple[pd.DataFrame, list[BadCell]]:
    """Convert and check a block of keypoints.

    Args:
        text: The 30 coordinates and, if present, usage and subject.
        min_keypoints: The least number of annotated keypoints in a row.

    Returns:
        The same columns as numbers (NaN = not annotated, usage stays text), and the cells that
        break the schema.
    """
    values = text.copy()
    for name in COLUMNS:
        number = pd.to_numeric(text[name], errors="coerce").astype(float)
        # Text that is no number becomes infinity, which breaks the schema.
        values[name] = number.mask(number.isna() & ~text[name].isin(_NOT_ANNOTATED), np.inf)
    if "subject" in text:
        values["subject"] = pd.to_numeric(text["subject"], errors="coerce").astype(float)
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
