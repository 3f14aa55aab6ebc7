"""Metrics: scores of keypoints and of expressions, their intervals and baselines.

Scores are flat dictionaries of finite floats. A score that cannot be measured (no such face, a
prediction that is not a number) is absent, so that NaN never reaches a file or a comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, MIRROR, NAMES
from emotion_ai.steps.evaluate.bootstrap import percentile_interval, resample_people

Scores = dict[str, float]

CALIBRATION_BINS = 15
# A face under this normalised mean error counts as found (5 % of the distance of the eyes).
MAX_FOUND_NME = 0.05
LEFT_EYE, RIGHT_EYE = NAMES.index("left_eye_center"), NAMES.index("right_eye_center")


@dataclass(frozen=True)
class Reliability:
    """Calibration in 15 equal bins of confidence.

    Attributes:
        confidence: float64 [15], mean confidence; NaN for an empty bin.
        accuracy: float64 [15], share of correct predictions; NaN for an empty bin.
        share: float64 [15], share of all faces.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
        return float(np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


def finite_rows(predicted: NDArray) -> NDArray[np.bool_]:
    """Return which rows hold finite numbers only, bool [n], for predictions [n, ...]."""
    return np.isfinite(predicted).all(axis=tuple(range(1, predicted.ndim)))


def keypoint_scores(predicted: NDArray, truth: NDArray) -> Scores:
    """Score keypoints.

    rmse_px and rmse_px/<keypoint> are over annotated coordinates alone, as in Kaggle's "Facial
    Keypoints Detection" (https://www.kaggle.com/c/facial-keypoints-detection); nme and
    share_under_5_percent_nme are over the faces whose eye centres are annotated.

    Args:
        predicted: [n, 15, 2], in pixels of the 96x96 frame.
        truth: [n, 15, 2]; NaN for what is not annotated.

    Returns:
        rows, finite_share and, if every prediction is finite, the scores above.
    """
    scores = {"rows": float(len(truth))}
    finite = finite_rows(predicted)
    if not len(truth):
        return scores
    scores["finite_share"] = float(finite.mean())
    if not finite.all():
        return scores
    squares = (predicted.astype(np.float64) - truth) ** 2
    scores |= {"rmse_px": _root_mean(squares)}
    scores |= {f"rmse_px/{name}": _root_mean(squares[:, k]) for k, name in enumerate(NAMES)}
    errors = normalised_errors(predicted, truth)
    errors = errors[np.isfinite(errors)]
    if len(errors):
        scores["nme"] = float(errors.mean())
        scores["share_under_5_percent_nme"] = float((errors < MAX_FOUND_NME).mean())
    return _finite_scores(scores)


def annotation_bias(predicted: NDArray, predicted_of_mirrored: NDArray, truth: NDArray) -> Scores:
    """Measure how far right of the real keypoints the annotations are, as annotation_bias_px.

    A model that learnt a shift to the right has the same shift on mirror images, so its x for a
    face and for the mirror image add up to more than the frame's width. Half of the excess is the
    model's own bias, to which the mean distance from its predictions to the annotations is added.

    Args:
        predicted: [n, 15, 2], in pixels of the 96x96 frame.
        predicted_of_mirrored: The same for the faces mirrored left to right.
        truth: [n, 15, 2]; NaN for what is not annotated.

    Returns:
        annotation_bias_px, or nothing if it cannot be measured.
    """
    if not (finite_rows(predicted).all() and finite_rows(predicted_of_mirrored).all()):
        return {}
    x = predicted[..., 0].astype(np.float64)
    model_bias = (x + predicted_of_mirrored[:, MIRROR, 0] - (FRAME - 1)) / 2
    bias = model_bias + truth[..., 0] - x
    known = np.isfinite(bias)
    return {"annotation_bias_px": float(bias[known].mean())} if known.any() else {}


def normalised_errors(predicted: NDArray, truth: NDArray) -> NDArray[np.float64]:
    """Compute each face's mean error, divided by the distance between its eye centres.

    This is the interocular normalisation of 300-W (Sagonas et al. 2013).

    Args:
        predicted: [n, 15, 2], in pixels of the 96x96 frame.
        truth: [n, 15, 2]; NaN for what is not annotated.

    Returns:
        float64 [n]; NaN if an eye centre is not annotated or both coincide.
    """
    truth = truth.astype(np.float64)
    eyes = np.linalg.norm(truth[:, LEFT_EYE] - truth[:, RIGHT_EYE], axis=1)
    eyes[~(eyes > 0)] = np.nan
    distances = np.linalg.norm(predicted - truth, axis=2)
    known = np.isfinite(truth).all(axis=2)
    total = np.where(known, distances, 0.0).sum(axis=1)
    return total / np.maximum(known.sum(axis=1), 1) / eyes


def expression_scores(probabilities: NDArray, truth: NDArray, labels: tuple[str, ...]) -> Scores:
    """Score probabilities of emotions.

    Macro averages are over the emotions that have a face.

    Args:
        probabilities: [n, k].
        truth: Codes [n], positions in `labels`.
        labels: The k emotions.

    Returns:
        rows, finite_share and, if every probability is finite, accuracy, balanced_accuracy,
        macro_f1, calibration_error, precision/<emotion> and recall/<emotion>. The recall of an
        emotion without a face is absent.
    """
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

    scores = {"rows": float(len(truth))}
    finite = finite_rows(probabilities)
    if not len(truth):
        return scores
    scores["finite_share"] = float(finite.mean())
    if not finite.all():
        return scores
    predicted = probabilities.argmax(axis=1)
    codes = np.arange(len(labels))
    precision, recall, _, support = precision_recall_fscore_support(
        truth, predicted, labels=codes, zero_division=0.0
    )
    present = support > 0
    scores["accuracy"] = float(accuracy_score(truth, predicted))
    scores["balanced_accuracy"] = float(recall[present].mean())
    scores["macro_f1"] = float(
        f1_score(truth, predicted, labels=codes[present], average="macro", zero_division=0.0)
    )
    scores["calibration_error"] = reliability(probabilities, truth).error
    scores |= {f"precision/{labels[k]}": float(precision[k]) for k in codes}
    scores |= {f"recall/{labels[k]}": float(recall[k]) for k in codes[present]}
    return _finite_scores(scores)


def confusion(probabilities: NDArray, truth: NDArray, classes: int) -> NDArray[np.int64]:
    """Compute the confusion matrix over the rows with finite probabilities.

    Args:
        probabilities: [n, k].
        truth: Codes [n].
        classes: The number k of emotions.

    Returns:
        int64 [k, k], counts by true code and predicted code.
    """
    from sklearn.metrics import confusion_matrix

    finite = finite_rows(probabilities)
    if not finite.any():
        return np.zeros((classes, classes), np.int64)
    predicted = probabilities[finite].argmax(axis=1)
    return confusion_matrix(truth[finite], predicted, labels=np.arange(classes))


def reliability(probabilities: NDArray, truth: NDArray) -> Reliability:
    """Compute the calibration of finite probabilities [n, k] for codes [n]."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == truth
    bins = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = np.where(count > 0, count, np.nan)
    return Reliability(
        confidence=np.bincount(bins, confidence, CALIBRATION_BINS) / filled,
        accuracy=np.bincount(bins, correct, CALIBRATION_BINS) / filled,
        share=count / max(len(truth), 1),
    )


def keypoint_intervals(predicted: NDArray, truth: NDArray, subject: NDArray) -> Scores:
    """Compute the 95 % confidence interval of rmse_px, as rmse_px_low and rmse_px_high.

    Args:
        predicted: [n, 15, 2], in pixels of the 96x96 frame.
        truth: [n, 15, 2]; NaN for what is not annotated.
        subject: int64 [n], the person's number; -1 if unknown.

    Returns:
        Both bounds; nothing without rows or if a prediction is not finite.
    """
    if not len(truth) or not finite_rows(predicted).all():
        return {}
    squares = (predicted.astype(np.float64) - truth) ** 2
    counts = np.isfinite(squares).sum((1, 2))
    low, high = _bootstrap_interval(np.nansum(squares, (1, 2)), counts, subject)
    return _finite_scores({"rmse_px_low": low**0.5, "rmse_px_high": high**0.5})


def expression_intervals(probabilities: NDArray, truth: NDArray, subject: NDArray) -> Scores:
    """Compute the 95 % confidence interval of accuracy, as accuracy_low and accuracy_high.

    Args:
        probabilities: [n, k].
        truth: Codes [n].
        subject: int64 [n], the person's number; -1 if unknown.

    Returns:
        Both bounds; nothing without rows or if a probability is not finite.
    """
    if not len(truth) or not finite_rows(probabilities).all():
        return {}
    correct = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    low, high = _bootstrap_interval(correct, np.ones(len(correct)), subject)
    return _finite_scores({"accuracy_low": low, "accuracy_high": high})


def mean_face(truth: NDArray) -> NDArray[np.float32]:
    """Average annotated keypoints [n, 15, 2] to [15, 2].

    A keypoint that no face has is put into the centre.
    """
    known = np.isfinite(truth)
    total = np.where(known, truth, 0.0).sum(axis=0, dtype=np.float64)
    count = known.sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), (FRAME - 1) / 2)
    return mean.astype(np.float32)


def majority_class(truth: NDArray) -> int:
    """Return the most frequent code of [n], the smallest in a tie."""
    return int(np.bincount(truth.astype(np.int64)).argmax())


def _bootstrap_interval(
    numerator: NDArray, denominator: NDArray, subject: NDArray
) -> tuple[float, float]:
    """Compute the percentile bootstrap (Efron 1979) of sum(numerator) / sum(denominator)."""
    sums = resample_people(np.stack([numerator, denominator], 1), subject)
    sums = sums[sums[:, 1] > 0]
    return percentile_interval(sums[:, 0] / sums[:, 1])


def _root_mean(squares: NDArray) -> float:
    known = np.isfinite(squares)
    if not known.any():
        return float("nan")
    return float(np.sqrt(squares[known].mean()))


def _finite_scores(scores: Scores) -> Scores:
    return {name: value for name, value in scores.items() if np.isfinite(value)}
