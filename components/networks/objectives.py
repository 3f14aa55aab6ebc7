"""What the two networks are trained for: loss, targets as the loss wants them, and the score."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME


@dataclass(frozen=True)
class Objective:
    """A loss for the optimizer and a score for choosing the best epoch.

    `encode` turns targets as they stand on disk into (y, sample weight) for the loss; `score`
    takes predictions and targets as they stand on disk.
    """

    loss: Callable
    encode: Callable[[NDArray], tuple[NDArray, NDArray]]
    score: Callable[[NDArray, NDArray], float]
    score_name: str
    higher_is_better: bool

    def better(self, score: float, than: float | None) -> bool:
        """Whether a score beats another one; the first finite score beats none."""
        if than is None:
            return bool(np.isfinite(score))
        return score > than if self.higher_is_better else score < than


@keras.saving.register_keras_serializable(package="emotion_ai")
def masked_huber(target: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    """Huber loss (1964) over annotated coordinates, its delta at 2 px; [n], one a face.

    `target` is [n, 15, 3]: x, y in pixels and 1 where annotated, else 0.
    """
    annotated = target[..., 2:]
    error = ops.abs(predicted - target[..., :2]) * annotated
    delta = 2.0
    loss = ops.where(error < delta, 0.5 * error * error / delta, error - 0.5 * delta)
    return ops.sum(loss, axis=(1, 2)) / ops.maximum(2 * ops.sum(annotated, axis=(1, 2)), 1)


def rmse(predicted: NDArray, keypoints: NDArray) -> float:
    """Root mean square error in pixels over annotated coordinates; NaN marks the others."""
    return float(np.sqrt(np.nanmean((predicted - keypoints) ** 2)))


def keypoint_objective() -> Objective:
    """Keypoints: masked Huber loss, faces weighing alike, best by RMSE in pixels."""

    def encode(keypoints: NDArray) -> tuple[NDArray, NDArray]:
        annotated = np.isfinite(keypoints).all(-1, keepdims=True)
        values = np.where(annotated, keypoints, FRAME / 2)
        y = np.concatenate([values, annotated], -1).astype(np.float32)
        return y, np.ones(len(y), np.float32)

    return Objective(masked_huber, encode, rmse, "RMSE px", higher_is_better=False)


def expression_objective(counts: NDArray, label_smoothing: float) -> Objective:
    """Emotions: cross-entropy with smoothed labels (arXiv:1512.00567), best by accuracy.

    `counts` [k] are the training rows of each emotion. A rare one weighs more, by the square root
    of how much rarer it is than the average: the full factor would let noise in rare rows rule.
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

    return Objective(loss, encode, accuracy, "accuracy", higher_is_better=True)
