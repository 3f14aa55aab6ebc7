"""The error of each face, and how far that of some faces is from that of others."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.steps.evaluate.bootstrap import percentile_interval, resample_people


class FaceErrors(NamedTuple):
    """What an error is the mean of; lower is better.

    Attributes:
        totals: The sum of each face, float64 [n].
        counts: How many errors that is the sum of, float64 [n].
        finish: Makes the error of a mean.
    """

    totals: NDArray[np.float64]
    counts: NDArray[np.float64]
    finish: Callable[[NDArray], NDArray]

    def value(self) -> float:
        """Return the error of all faces together; NaN without any."""
        count = self.counts.sum()
        return float(self.finish(self.totals.sum() / count)) if count else float("nan")

    def of(self, chosen: NDArray[np.bool_]) -> "FaceErrors":
        """Return the errors with those of other faces left out."""
        return self._replace(totals=self.totals * chosen, counts=self.counts * chosen)


class Interval(NamedTuple):
    """A value, and where it is with 95 % confidence; NaN where that cannot be known."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        return self.low > 0 or self.high < 0


def wrong_share(predicted: NDArray, truth: NDArray) -> FaceErrors:
    """Return the errors of codes [n], of which the share is one minus the accuracy."""
    wrong = (predicted != truth).astype(np.float64)
    return FaceErrors(wrong, np.ones(len(wrong)), np.asarray)


def point_errors(predicted: NDArray, truth: NDArray) -> FaceErrors:
    """Return the errors of keypoints [n, 15, 2], which are an RMSE in pixels."""
    squares = (predicted.astype(np.float64) - truth) ** 2
    counts = np.isfinite(squares).sum((1, 2)).astype(np.float64)
    return FaceErrors(np.nansum(squares, (1, 2)), counts, np.sqrt)


def measure_interval(errors: FaceErrors) -> Interval:
    """Measure errors with a bootstrap over the faces, each of which is a person of its own."""
    unknown = np.full(len(errors.totals), -1)
    sums = resample_people(np.stack([errors.totals, errors.counts], 1), unknown)
    return Interval(errors.value(), *percentile_interval(errors.finish(sums[:, 0] / sums[:, 1])))


def measure_gap(errors: FaceErrors, others: FaceErrors, subject: NDArray[np.int64]) -> Interval:
    """Measure how much larger errors are than others, with a bootstrap over the people.

    Args:
        errors: Of n faces.
        others: Of the same n faces, or of others of the same people.
        subject: int64 [n], the person's number; -1 if unknown.
    """
    sums = resample_people(
        np.stack([errors.totals, errors.counts, others.totals, others.counts], 1), subject
    )
    sums = sums[(sums[:, 1] > 0) & (sums[:, 3] > 0)]
    mean, other_mean = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
    low, high = percentile_interval(errors.finish(mean) - others.finish(other_mean))
    return Interval(errors.value() - others.value(), low, high)
