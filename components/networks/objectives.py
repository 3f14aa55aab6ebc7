"""The objectives of the two networks: loss, encoding of the targets, and score."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.kinds import EXPRESSION, KEYPOINTS


@dataclass(frozen=True)
class Objective:
    """A loss to minimise, and a score to choose the best epoch by.

    Attributes:
        loss: A Keras loss.
        encode: Converts targets as they are on disk to (y, sample weights [n]) for the loss.
        score: Computes the score from predictions and targets as they are on disk.
        score_name: The score's name in logs and on pages.
        higher_is_better: Whether a larger score is better.
    """

    loss: Callable
    encode: Callable[[NDArray], tuple[NDArray, NDArray]]
    score: Callable[[NDArray, NDArray], float]
    score_name: str
    higher_is_better: bool

    def is_better(self, score: float, best: float | None) -> bool:
        """Return whether a score is better than the best so far, if any; NaN never is."""
        if best is None:
            return bool(np.isfinite(score))
        return score > best if self.higher_is_better else score < best


@keras.saving.register_keras_serializable(package="emotion_ai")
def masked_huber(target: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    """Compute the Huber loss (1964) over annotated coordinates, with delta 2 px.

    Args:
        target: [n, 15, 3]: x and y in pixels, and 1 where annotated, else 0.
        predicted: [n, 15, 2] in pixels.

    Returns:
        [n], the mean over each face's annotated coordinates.
    """
    annotated = target[..., 2:]
    error = ops.abs(predicted - target[..., :2]) * annotated
    delta = 2.0
    loss = ops.where(error < delta, 0.5 * error * error / delta, error - 0.5 * delta)
    return ops.sum(loss, axis=(1, 2)) / ops.maximum(2 * ops.sum(annotated, axis=(1, 2)), 1)


def rmse(predicted: NDArray, keypoints: NDArray) -> float:
    """Compute the root mean square error in pixels over annotated (not NaN) coordinates.

    Args:
        predicted: [n, 15, 2].
        keypoints: [n, 15, 2], NaN = not annotated.
    """
    return float(np.sqrt(np.nanmean((predicted - keypoints) ** 2)))


def keypoint_objective() -> Objective:
    """Return the objective of keypoints: masked Huber loss, and RMSE in pixels as the score."""

    def encode(keypoints: NDArray) -> tuple[NDArray, NDArray]:
        annotated = np.isfinite(keypoints).all(-1, keepdims=True)
        values = np.where(annotated, keypoints, FRAME / 2)
        y = np.concatenate([values, annotated], -1).astype(np.float32)
        return y, np.ones(len(y), np.float32)

    return Objective(masked_huber, encode, rmse, "RMSE px", KEYPOINTS.higher_is_better)


def expression_objective(counts: NDArray, label_smoothing: float) -> Objective:
    """Return the objective of emotions: cross-entropy with smoothed labels, and accuracy.

    A rare emotion weighs more, by the square root of how much rarer it is than the average. The
    full factor would give too much weight to noise in the rare rows.

    Args:
        counts: [k], training rows of each emotion.
        label_smoothing: The share of each target spread over all emotions (arXiv:1512.00567).
    """
    k = len(counts)
    weights = np.sqrt(counts.mean() / np.maximum(counts, 1)).astype(np.float32)
    weights /= (weights * counts).sum() / counts.sum()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    smoothed = np.eye(k, dtype=np.float32) * (1 - label_smoothing) + label_smoothing / k

    def encode(codes: NDArray) -> tuple[NDArray, NDArray]:
        return smoothed[codes], weights[codes]

    def accuracy(logits: NDArray, codes: NDArray) -> float:
        return float((logits.argmax(-1) == codes).mean())

    return Objective(loss, encode, accuracy, EXPRESSION.metric, EXPRESSION.higher_is_better)
