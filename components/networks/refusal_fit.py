"""Fit when a pair of networks gives no answer, and measure what that costs and brings.

Fitted on faces of the train splits, half of them corrupted, and on drawn pictures without a face;
the thresholds are chosen on the validation splits, and both are measured on the test splits.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Faces
from emotion_ai.faces.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.faces.non_faces import KINDS, draw_non_faces
from emotion_ai.networks.inference import softmax
from emotion_ai.networks.refusal import Refusal, with_last_map

# The share of validation faces that may be refused as none, and of those that get an answer.
LOST = 0.008
ANSWERED = 0.8
# For which the accuracy is listed.
_COVERAGES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)
# Fewer validation faces of a kind say nothing about one face in a hundred.
_MIN_FACES = 100
# Half as many train faces refuse less, fewer validation faces give no steady threshold, and more
# pictures of a kind change nothing: `make bench NAME=refusal_fit`.
_MAX_TRAIN_ROWS, _MAX_HELD_OUT_ROWS, _NON_FACES = 2_000, 4_000, 150
_INVERSE_PENALTY = 0.01
_BATCH = 128


class Observed(NamedTuple):
    """What a pair of networks says of pictures: features [n, f] and probabilities [n, k]."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]


class Observer:
    """Runs a pair of networks for the features of pictures.

    Args:
        keypoints: The keypoint network.
        expression: The expression network.
    """

    def __init__(self, keypoints: Any, expression: Any) -> None:
        self._networks = [with_last_map(network) for network in (expression, keypoints)]

    def observe(self, images: NDArray[np.uint8]) -> Observed:
        """Run both networks on pictures, uint8 [n, 96, 96] or [n, 48, 48]."""
        parts = [
            self._observe_batch(_in_frame(images[start : start + _BATCH]))
            for start in range(0, len(images), _BATCH)
        ]
        return Observed(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _observe_batch(self, images: NDArray[np.uint8]) -> Observed:
        (logits, emotion_map), (_, place_map) = (
            network.predict_on_batch(_downsample(images, network.input_shape[1]))
            for network in self._networks
        )
        features = [each.mean((1, 2), dtype=np.float32) for each in (emotion_map, place_map)]
        return Observed(np.concatenate(features, 1), softmax(logits))


class _HeldOut(NamedTuple):
    """Faces of one split: features by kind of faces, and each emotion's probability and truth."""

    features: dict[str, NDArray[np.float32]]
    probability: NDArray[np.float32]
    correct: NDArray[np.bool_]


def fit_refusal(
    keypoints: Any, expression: Any, faces: Mapping[str, Faces]
) -> tuple[Refusal | None, dict[str, Any]]:
    """Fit the refusals of a pair of networks to the faces that it was trained on.

    Args:
        keypoints: The keypoint network.
        expression: The expression network.
        faces: Prepared faces by kind.

    Returns:
        The constants, and a report for release.json and the model card; None and why where there
        are too few faces.
    """
    few = [kind for kind, own in faces.items() if len(own.positions(VALIDATION)) < _MIN_FACES]
    if few or not faces:
        names = " and ".join(few) or "validation"
        return None, {"missing": f"fewer than {_MIN_FACES} validation faces: {names}"}
    observer = Observer(keypoints, expression)
    train = [_sample(own, TRAIN, _MAX_TRAIN_ROWS).images for own in faces.values()]
    shown = [observer.observe(images).features for images in (*train, *map(_corrupted, train))]
    whole = np.concatenate([_in_frame(images) for images in train])
    drawn = {
        kind: observer.observe(draw_non_faces(kind, _NON_FACES, 1, whole)).features
        for kind in KINDS
    }
    validation, test = (_held_out(observer, faces, split) for split in (VALIDATION, TEST))
    weights, bias = _separate(np.concatenate(shown), list(drawn.values()))
    bias -= _threshold(validation, weights, bias)
    minimum = float(np.quantile(validation.probability, 1 - ANSWERED))
    refusal = Refusal(weights, np.array([bias], np.float32), np.array([minimum], np.float32))
    report = {
        "min_probability": minimum,
        "refused": _refused(np.concatenate(shown), drawn, validation),
        "lost": {
            name: {
                kind: _share(features @ weights + bias < 0)
                for kind, features in held_out.features.items()
            }
            for name, held_out in (("validation", validation), ("test", test))
        },
        "faces": {kind: len(features) for kind, features in test.features.items()},
        "curve": _curve(validation, test),
    }
    return refusal, report


def _separate(
    faces: NDArray[np.float32], others: Sequence[NDArray[np.float32]]
) -> tuple[NDArray[np.float32], float]:
    """Fit the linear function that is positive for faces: weights and bias."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    mean, deviation = faces.mean(0), faces.std(0) + 1e-3
    features = (np.concatenate([faces, *others]) - mean) / deviation
    is_face = np.arange(len(features)) < len(faces)
    regression: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=300, class_weight="balanced")
    # Threads of so small products wait for one another, at many times the processor's time.
    with threadpool_limits(1), warnings.catch_warnings():
        # One that has not converged separates as well.
        warnings.simplefilter("ignore")
        regression.fit(features, is_face)
    weights = regression.coef_[0] / deviation
    return weights.astype(np.float32), float(regression.intercept_[0] - weights @ mean)


def _threshold(validation: _HeldOut, weights: NDArray[np.float32], bias: float) -> float:
    """Return the score below which at most `LOST` of each kind's validation faces are."""
    return min(
        float(np.quantile(features @ weights + bias, LOST))
        for features in validation.features.values()
    )


def _refused(
    faces: NDArray[np.float32], drawn: Mapping[str, NDArray[np.float32]], validation: _HeldOut
) -> dict[str, float]:
    """Return the share of each kind of drawn pictures that is refused when fitted without it."""
    shares = {}
    for kind, features in drawn.items():
        others = [each for name, each in drawn.items() if name != kind]
        weights, bias = _separate(faces, others)
        threshold = _threshold(validation, weights, bias)
        shares[kind] = _share(features @ weights + bias < threshold)
    return shares


def _curve(validation: _HeldOut, test: _HeldOut) -> list[dict[str, float]]:
    """Return coverage and accuracy on test, for thresholds that answer a share of validation."""
    points = []
    for coverage in _COVERAGES:
        minimum = float(np.quantile(validation.probability, 1 - coverage)) if coverage < 1 else 0.0
        answered = test.probability >= minimum
        points.append(
            {
                "min_probability": minimum,
                "coverage": _share(answered),
                "accuracy": _share(test.correct[answered]),
            }
        )
    return points


def _held_out(observer: Observer, faces: Mapping[str, Faces], split: int) -> _HeldOut:
    rows = {kind: _sample(own, split, _MAX_HELD_OUT_ROWS) for kind, own in faces.items()}
    observed = {kind: observer.observe(own.images) for kind, own in rows.items()}
    probabilities = observed[EXPRESSION.name].probabilities
    return _HeldOut(
        features={kind: own.features for kind, own in observed.items()},
        probability=probabilities.max(1),
        correct=probabilities.argmax(1) == rows[EXPRESSION.name].targets,
    )


def _sample(faces: Faces, split: int, most: int) -> Any:
    positions = faces.positions(split)
    if len(positions) > most:
        chosen = np.random.default_rng(0).choice(positions, most, replace=False)
        positions = np.sort(chosen)
    return faces.take(positions)


def _corrupted(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Corrupt each second face by another corruption and severity, but by the worst noise alone."""
    changed = images[::2].copy()
    amounts = [(name, severity) for name in CORRUPTIONS for severity in range(1, SEVERITIES)]
    # Without the worst noise, faces in noise are taken for the drawn noise.
    amounts += [(name, SEVERITIES) for name in CORRUPTIONS if name.endswith("_noise")]
    for number, (name, severity) in enumerate(amounts):
        own = slice(number, None, len(amounts))
        if len(changed[own]):
            changed[own] = corrupt(changed[own], name, severity, number)
    return changed


def _in_frame(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge pictures to [n, 96, 96] by repeating pixels."""
    factor = FRAME // images.shape[1]
    return images.repeat(factor, 1).repeat(factor, 2)


def _downsample(images: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Average pictures [n, 96, 96] to [n, size, size, 1], as the exported graph does."""
    factor = FRAME // size
    blocks = images.reshape(len(images), size, factor, size, factor)
    return blocks.mean((2, 4), dtype=np.float32)[..., None]


def _share(which: NDArray[np.bool_]) -> float:
    return round(float(which.mean()), 4) if len(which) else 0.0
