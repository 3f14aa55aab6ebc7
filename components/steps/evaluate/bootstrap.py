"""Resample people, to know how far a score may be off by chance."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
# Weights held in memory at once: 32 MB of int64.
_MAX_BATCH_WEIGHTS = 4_000_000


def number_people(subject: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the people from 0, int64 [n]; each face of an unknown person is one of its own.

    Args:
        subject: int64 [n], the person's number; -1 if unknown.
    """
    group = np.where(subject < 0, np.arange(len(subject)) + subject.max(initial=0) + 1, subject)
    return np.unique(group, return_inverse=True)[1]


def resample_people(values: NDArray, subject: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum up the faces of people that are drawn with replacement, a thousand times, seeded.

    People are resampled, not their pictures: errors on pictures of one person are correlated, and
    an interval that assumed them independent would be too narrow.

    Args:
        values: [n, k], of n faces.
        subject: int64 [n], the person's number; -1 if unknown.

    Returns:
        The sums, float64 [1000, k].
    """
    person = number_people(subject)
    by_person = np.stack([np.bincount(person, column) for column in values.T])
    people = by_person.shape[1]
    rng = np.random.default_rng(0)
    batch = max(1, min(RESAMPLES, _MAX_BATCH_WEIGHTS // people))
    sums = []
    for start in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - start)
        weights = rng.multinomial(people, np.full(people, 1 / people), size=size)
        sums.append(np.stack([weights @ column for column in by_person], 1))
    return np.concatenate(sums)


def percentile_interval(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """Return where 95 % of resampled scores are; NaN without any."""
    if not len(resampled):
        return float("nan"), float("nan")
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)
