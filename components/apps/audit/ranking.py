"""Rank the labels of a data set by doubt, the most doubtful first."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Suspect(NamedTuple):
    """A label to look at.

    Attributes:
        position: The face's position in the data set.
        emotion: The code of its label.
        probability: What the label was given by who had not seen it.
        suggested: The code of the emotion that was given the most beside it.
        suggested_probability: What that one was given.
    """

    position: int
    emotion: int
    probability: float
    suggested: int
    suggested_probability: float


def rank(
    probabilities: NDArray[np.float32], targets: NDArray[np.uint8], count: int
) -> list[Suspect]:
    """Return the most doubtful labels in order: those with the lowest probability.

    Args:
        probabilities: Of each emotion, [n, k]; from `networks.doubt.out_of_fold`.
        targets: The labels, codes below k, [n].
        count: How many to return at most.
    """
    faces = np.arange(len(targets))
    own = probabilities[faces, targets]
    others = probabilities.copy()
    others[faces, targets] = -1
    suggested = others.argmax(1)
    order = np.argsort(own, kind="stable")[:count]
    return [
        Suspect(
            int(k),
            int(targets[k]),
            float(own[k]),
            int(suggested[k]),
            float(others[k, suggested[k]]),
        )
        for k in order
    ]
