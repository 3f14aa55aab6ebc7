"""Predictions for every split, with what is needed to trace and to score them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Faces
from emotion_ai.faces.corruptions import CORRUPTIONS
from emotion_ai.steps.evaluate.face_errors import Interval
from emotion_ai.steps.evaluate.metrics import Scores

# Train is scored to detect overfitting, for which a sample is enough.
_MAX_TRAIN_ROWS = 2000
_BATCH = 4096

Predict = Callable[[NDArray[np.uint8]], NDArray]


@dataclass(frozen=True)
class SplitPredictions:
    """Predictions for the rows of one split; all arrays have n rows.

    Attributes:
        name: The split's own name, such as "PublicTest".
        rows_in_split: The split's rows; more than n if a sample was drawn.
        position: int64 [n], positions in the faces artifact.
        row: int64 [n], data rows of the source, counted from 0.
        subject: int64 [n], the person's number; -1 if unknown.
        truth: float32 [n, 15, 2] keypoints or uint8 [n] codes.
        predicted: float32 [n, 15, 2] keypoints or [n, k] probabilities.
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
        """The split's name, with the sample's size if it was sampled."""
        if len(self.row) == self.rows_in_split:
            return self.name
        return f"{self.name} ({len(self.row):,} of {self.rows_in_split:,} drawn)"


class Robustness(NamedTuple):
    """Accuracies on corrupted faces of the test split.

    Attributes:
        faces: How many faces were corrupted, each by every corruption.
        clean: The accuracy on them as they are.
        accuracy: float [corruptions, severities], in the order of `CORRUPTIONS`.
        examples: uint8 [corruptions, H, H], one face under each at the middle severity.
    """

    faces: int
    clean: float
    accuracy: NDArray[np.float64]
    examples: NDArray[np.uint8]

    def scores(self) -> Scores:
        """The share of the clean accuracy that is kept: the mean, and for each corruption."""
        if not self.clean:
            return {}
        kept = self.accuracy.mean(1) / self.clean
        by_name = zip(CORRUPTIONS, kept.tolist(), strict=True)
        return {"robustness": float(kept.mean())} | {f"robustness/{n}": v for n, v in by_name}


class Slice(NamedTuple):
    """A group of faces of the test split.

    Attributes:
        column: What kind of group it is, as the source calls it.
        name: The group.
        faces: How many faces it has there.
        people: How many people they show; a face of nobody known counts as one.
        error: One minus the accuracy, or the RMSE in pixels; None where too few are in it or in
            the rest, as for the two below.
        rest: That of all other faces.
        gap: How much larger the group's is.
    """

    column: str
    name: str
    faces: int
    people: int
    error: float | None = None
    rest: float | None = None
    gap: Interval | None = None


class DrawnVariant(NamedTuple):
    """What a model makes of drawn faces in one variant.

    Attributes:
        name: The variant.
        error: One minus the accuracy among the drawn emotions, or the RMSE in pixels.
        gap: How much larger it is than for the same faces in the reference's tone.
        change: The share of the faces that get another label than there, or how far the points
            move, as an RMSE in pixels.
    """

    name: str
    error: float
    gap: Interval
    change: float


class Steadiness(NamedTuple):
    """How much the answers for a face change that does not.

    Attributes:
        name: What was done to the face.
        faces: How many faces were used.
        alone: Changes of the label a minute, or the points' deviation from their means in pixels.
        averaged: The same with answers averaged over a second.
    """

    name: str
    faces: int
    alone: Interval
    averaged: Interval


@dataclass(frozen=True)
class ModelEvaluation:
    """Predictions and scores of one of the two models.

    Attributes:
        faces: The faces it was evaluated on.
        splits: Predictions for train, validation and test, in this order.
        scores: Scores on the same splits.
        baseline: What the baseline predicts for every face: keypoints [15, 2] or a code.
        champion: The champion's predictions for test; None if it cannot be compared.
        champion_scores: The champion's scores on test; empty if it cannot be compared.
        robustness: Accuracies on corrupted faces; None where they were not asked for.
        slices: The groups of the test split that the source names.
        drawn: What it makes of drawn faces; empty where it knows too few of the drawn emotions.
        steadiness: How steady it is; empty where its answers are not finite.
    """

    faces: Faces
    splits: tuple[SplitPredictions, SplitPredictions, SplitPredictions]
    scores: tuple[Scores, Scores, Scores]
    baseline: NDArray | int
    champion: NDArray | None
    champion_scores: Scores
    robustness: Robustness | None = None
    slices: tuple[Slice, ...] = ()
    drawn: tuple[DrawnVariant, ...] = ()
    steadiness: tuple[Steadiness, ...] = ()

    @property
    def is_expression(self) -> bool:
        """Whether it is the model of expressions, and not that of keypoints."""
        return bool(self.faces.info.labels)

    @property
    def test(self) -> SplitPredictions:
        """The test split, which the gate decides on."""
        return self.splits[TEST]


def predict_splits(
    faces: Faces, predict: Predict
) -> tuple[SplitPredictions, SplitPredictions, SplitPredictions]:
    """Run a model on every split; on train at most 2,000 rows, drawn with a fixed seed.

    Args:
        faces: Prepared faces.
        predict: Runs the model, from uint8 [n, H, W] to predictions [n, ...].

    Returns:
        Predictions for train, validation and test.
    """
    positions = [faces.positions(split) for split in (TRAIN, VALIDATION, TEST)]
    split_sizes = [len(rows) for rows in positions]
    if split_sizes[TRAIN] > _MAX_TRAIN_ROWS:
        sample = np.random.default_rng(0).choice(positions[TRAIN], _MAX_TRAIN_ROWS, replace=False)
        positions[TRAIN] = np.sort(sample)
    all_positions = np.concatenate(positions)
    predicted = predict_rows(faces, all_positions, predict)
    targets, row, subject = (
        faces.column(name)[all_positions] for name in ("targets", "row", "subject")
    )
    predictions, start = [], 0
    for split, split_positions in enumerate(positions):
        rows = slice(start, start + len(split_positions))
        start += len(split_positions)
        predictions.append(
            SplitPredictions(
                name=faces.info.split_names[split],
                rows_in_split=split_sizes[split],
                position=split_positions,
                row=row[rows],
                subject=subject[rows],
                truth=targets[rows],
                predicted=predicted[rows],
            )
        )
    return predictions[TRAIN], predictions[VALIDATION], predictions[TEST]


def predict_rows(faces: Faces, positions: NDArray[np.int64], predict: Predict) -> NDArray:
    """Run a model on some rows, in batches to bound memory.

    Args:
        faces: The faces.
        positions: int64 [n], positions of the rows.
        predict: Runs the model, from uint8 [n, H, W] to predictions [n, ...].

    Returns:
        Predictions [n, ...].
    """
    starts = range(0, max(len(positions), 1), _BATCH)
    return np.concatenate(
        [predict(faces.take(positions[start : start + _BATCH]).images) for start in starts]
    )
