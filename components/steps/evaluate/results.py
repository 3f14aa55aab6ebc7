"""Predictions for every split, with what is needed to trace and to score them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Faces
from emotion_ai.steps.evaluate.metrics import Scores

# Train is scored to see over-fitting, for which a sample does.
TRAIN_ROWS = 2000
_ROWS_AT_ONCE = 4096

Predict = Callable[[NDArray[np.uint8]], NDArray]


@dataclass(frozen=True)
class SplitPredictions:
    """Predictions for rows of one split, arrays agreeing in their first dimension.

    predicted float32 [n, 15, 2] or [n, k]; truth float32 [n, 15, 2] or uint8 [n]; position, row
    and subject int64 [n]. `rows_in_split` exceeds n where the split was sampled.
    """

    name: str
    rows_in_split: int
    position: NDArray[np.int64]
    row: NDArray[np.int64]
    subject: NDArray[np.int64]
    truth: NDArray
    predicted: NDArray

    @property
    def title(self) -> str:
        """The split's name, and how much of it was looked at where that is not all."""
        if len(self.row) == self.rows_in_split:
            return self.name
        return f"{self.name} ({len(self.row):,} of {self.rows_in_split:,} drawn)"


@dataclass(frozen=True)
class ModelEvaluation:
    """All that is known about one of the two models: train, validation and test in this order.

    `baseline` is what the baseline answers to any face of test, [15, 2] or a code; `champion` what
    the champion answers to the faces of test, None where there is none to compare with.
    """

    faces: Faces
    splits: tuple[SplitPredictions, SplitPredictions, SplitPredictions]
    scores: tuple[Scores, Scores, Scores]
    baseline: NDArray | int
    champion: NDArray | None
    champion_scores: Scores

    @property
    def test(self) -> SplitPredictions:
        """The split that is judged."""
        return self.splits[TEST]


def predict_splits(
    faces: Faces, predict: Predict
) -> tuple[SplitPredictions, SplitPredictions, SplitPredictions]:
    """Ask a model about every split; of train at most 2,000 rows, drawn by a fixed seed."""
    positions = [faces.positions(split) for split in (TRAIN, VALIDATION, TEST)]
    sizes = [len(some) for some in positions]
    if sizes[TRAIN] > TRAIN_ROWS:
        drawn = np.random.default_rng(0).choice(positions[TRAIN], TRAIN_ROWS, replace=False)
        positions[TRAIN] = np.sort(drawn)
    everything = np.concatenate(positions)
    predicted = predict_rows(faces, everything, predict)
    targets, row, subject = (
        faces.column(name)[everything] for name in ("targets", "row", "subject")
    )
    answers, start = [], 0
    for split, some in enumerate(positions):
        here = slice(start, start + len(some))
        start += len(some)
        answers.append(
            SplitPredictions(
                name=faces.info.split_names[split],
                rows_in_split=sizes[split],
                position=some,
                row=row[here],
                subject=subject[here],
                truth=targets[here],
                predicted=predicted[here],
            )
        )
    return answers[TRAIN], answers[VALIDATION], answers[TEST]


def predict_rows(faces: Faces, positions: NDArray[np.int64], predict: Predict) -> NDArray:
    """Ask a model about some rows, some thousand at a time."""
    starts = range(0, max(len(positions), 1), _ROWS_AT_ONCE)
    return np.concatenate(
        [predict(faces.take(positions[k : k + _ROWS_AT_ONCE]).images) for k in starts]
    )
