"""What a pair of predictions is worth: scores of keypoints, of expressions, and their baselines.

Scores are flat dictionaries of finite floats. A score that cannot be measured (no such face, a
prediction that is not a number) is absent, so that NaN never reaches a file or a comparison.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, MIRROR, NAMES

Scores = dict[str, float]

CALIBRATION_BINS = 15
RESAMPLES = 1000
# Normalised mean error under which a face counts as found (5 % of the distance of the eyes).
FOUND_NME = 0.05
LEFT_EYE, RIGHT_EYE = NAMES.index("left_eye_center"), NAMES.index("right_eye_center")
# Resampled weights held in memory at once: 32 MB of int64.
_WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Reliability:
    """Calibration by bins of confidence; NaN in `confidence` and `accuracy` where a bin is empty.

    Arrays are float64 [15]: mean confidence, share of right answers, share of all faces.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
        return float(np.nansum(self.share * np.abs(self.accuracy - self.confidence)))


def finite_rows(predicted: NDArray) -> NDArray[np.bool_]:
    """Which rows got finite numbers alone, bool [n]."""
    return np.isfinite(predicted).all(axis=tuple(range(1, predicted.ndim)))


def keypoint_scores(predicted: NDArray, truth: NDArray) -> Scores:
    """Score keypoints, both [n, 15, 2] in pixels of the 96x96 frame; NaN in `truth` = unknown.

    rmse_px and rmse_px/<keypoint> are over annotated coordinates alone, as Kaggle's "Facial
    Keypoints Detection" does it; nme and share_under_5_percent_nme are over the faces whose eye
    centres are annotated. Where a prediction is not finite only finite_share is returned.
    """
    scores = {"rows": float(len(truth))}
    fine = finite_rows(predicted)
    if not len(truth):
        return scores
    scores["finite_share"] = float(fine.mean())
    if not fine.all():
        return scores
    squares = (predicted.astype(np.float64) - truth) ** 2
    scores |= {"rmse_px": _root_mean(squares)}
    scores |= {f"rmse_px/{name}": _root_mean(squares[:, k]) for k, name in enumerate(NAMES)}
    errors = normalised_errors(predicted, truth)
    errors = errors[np.isfinite(errors)]
    if len(errors):
        scores["nme"] = float(errors.mean())
        scores["share_under_5_percent_nme"] = float((errors < FOUND_NME).mean())
    return _measured(scores)


def annotation_bias(predicted: NDArray, predicted_of_mirrored: NDArray, truth: NDArray) -> Scores:
    """How far annotations stand right of what they mark, as annotation_bias_px.

    All are [n, 15, 2] in pixels, the second for the same faces mirrored. A model that learnt to
    stand to the right does so of a mirror image too: half of what its answers then differ by is its
    own bias, and how far the annotations stand right of its answers comes on top.
    """
    if not (finite_rows(predicted).all() and finite_rows(predicted_of_mirrored).all()):
        return {}
    answers = predicted[..., 0].astype(np.float64)
    own = (answers + predicted_of_mirrored[:, MIRROR, 0] - (FRAME - 1)) / 2
    bias = own + truth[..., 0] - answers
    known = np.isfinite(bias)
    return {"annotation_bias_px": float(bias[known].mean())} if known.any() else {}


def normalised_errors(predicted: NDArray, truth: NDArray) -> NDArray[np.float64]:
    """Each face's mean distance of prediction and annotation over the distance of its eye centres.

    Interocular normalisation of 300-W (Sagonas et al. 2013); float64 [n], NaN where an eye centre
    is not annotated or the two coincide.
    """
    truth = truth.astype(np.float64)
    eyes = np.linalg.norm(truth[:, LEFT_EYE] - truth[:, RIGHT_EYE], axis=1)
    eyes[~(eyes > 0)] = np.nan
    distances = np.linalg.norm(predicted - truth, axis=2)
    known = np.isfinite(truth).all(axis=2)
    total = np.where(known, distances, 0.0).sum(axis=1)
    return total / np.maximum(known.sum(axis=1), 1) / eyes


def expression_scores(probabilities: NDArray, truth: NDArray, labels: tuple[str, ...]) -> Scores:
    """Score probabilities [n, k] against codes [n] of the `labels`.

    Recall of an emotion without a face is absent, and macro averages are over the emotions that
    have one. Where a probability is not finite only finite_share is returned.
    """
    from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

    scores = {"rows": float(len(truth))}
    fine = finite_rows(probabilities)
    if not len(truth):
        return scores
    scores["finite_share"] = float(fine.mean())
    if not fine.all():
        return scores
    answers = probabilities.argmax(axis=1)
    codes = np.arange(len(labels))
    precision, recall, _, support = precision_recall_fscore_support(
        truth, answers, labels=codes, zero_division=0.0
    )
    shown = support > 0
    scores["accuracy"] = float(accuracy_score(truth, answers))
    scores["balanced_accuracy"] = float(recall[shown].mean())
    scores["macro_f1"] = float(
        f1_score(truth, answers, labels=codes[shown], average="macro", zero_division=0.0)
    )
    scores["calibration_error"] = reliability(probabilities, truth).error
    scores |= {f"precision/{labels[k]}": float(precision[k]) for k in codes}
    scores |= {f"recall/{labels[k]}": float(recall[k]) for k in codes[shown]}
    return _measured(scores)


def confusion(probabilities: NDArray, truth: NDArray, classes: int) -> NDArray[np.int64]:
    """Counts [true code, answered code] over the rows with a usable answer."""
    from sklearn.metrics import confusion_matrix

    fine = finite_rows(probabilities)
    if not fine.any():
        return np.zeros((classes, classes), np.int64)
    answers = probabilities[fine].argmax(axis=1)
    return confusion_matrix(truth[fine], answers, labels=np.arange(classes))


def reliability(probabilities: NDArray, truth: NDArray) -> Reliability:
    """Calibration in 15 equal bins of confidence; `probabilities` [n, k] are finite."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    bins = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = np.where(count > 0, count, np.nan)
    return Reliability(
        confidence=np.bincount(bins, confidence, CALIBRATION_BINS) / filled,
        accuracy=np.bincount(bins, right, CALIBRATION_BINS) / filled,
        share=count / max(len(truth), 1),
    )


def keypoint_intervals(predicted: NDArray, truth: NDArray, subject: NDArray) -> Scores:
    """The 95 % confidence interval of rmse_px, as rmse_px_low and rmse_px_high."""
    if not len(truth) or not finite_rows(predicted).all():
        return {}
    squares = (predicted.astype(np.float64) - truth) ** 2
    low, high = _interval(np.nansum(squares, (1, 2)), np.isfinite(squares).sum((1, 2)), subject)
    return _measured({"rmse_px_low": low**0.5, "rmse_px_high": high**0.5})


def expression_intervals(probabilities: NDArray, truth: NDArray, subject: NDArray) -> Scores:
    """The 95 % confidence interval of accuracy, as accuracy_low and accuracy_high."""
    if not len(truth) or not finite_rows(probabilities).all():
        return {}
    right = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    low, high = _interval(right, np.ones(len(right)), subject)
    return _measured({"accuracy_low": low, "accuracy_high": high})


def mean_face(truth: NDArray) -> NDArray[np.float32]:
    """The mean of annotated keypoints [n, 15, 2] -> [15, 2]; the centre where none is annotated."""
    known = np.isfinite(truth)
    total = np.where(known, truth, 0.0).sum(axis=0, dtype=np.float64)
    count = known.sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), (FRAME - 1) / 2)
    return mean.astype(np.float32)


def majority_class(truth: NDArray) -> int:
    """The most frequent code, the smallest of them in a tie."""
    return int(np.bincount(truth.astype(np.int64)).argmax())


def _interval(above: NDArray, below: NDArray, subject: NDArray) -> tuple[float, float]:
    """Percentile bootstrap (Efron 1979) of sum(above) / sum(below), seeded.

    People are resampled, not their pictures: pictures of one person (`subject` >= 0) fail
    together, and an interval that took them for independent would be too narrow.
    """
    alone = subject < 0
    group = np.where(alone, np.arange(len(subject)) + subject.max(initial=0) + 1, subject)
    _, person = np.unique(group, return_inverse=True)
    above, below = np.bincount(person, above), np.bincount(person, below)
    people = len(above)
    rng = np.random.default_rng(0)
    batch = max(1, min(RESAMPLES, _WEIGHTS_AT_ONCE // people))
    ratios = []
    for start in range(0, RESAMPLES, batch):
        size = min(batch, RESAMPLES - start)
        weights = rng.multinomial(people, np.full(people, 1 / people), size=size)
        total = weights @ below
        ratios.append((weights @ above)[total > 0] / total[total > 0])
    drawn = np.concatenate(ratios)
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _root_mean(squares: NDArray) -> float:
    known = np.isfinite(squares)
    if not known.any():
        return float("nan")
    return float(np.sqrt(squares[known].mean()))


def _measured(scores: Scores) -> Scores:
    return {name: value for name, value in scores.items() if np.isfinite(value)}
