"""How far to trust each label of a data set: what is said of a face by what has not seen its label.

A trained network gives the features; on them, for each fifth of the faces, a logistic regression
learns the labels of the other four fifths (Northcutt et al. 2021, "Confident Learning",
https://arxiv.org/abs/1911.00068, ranks labels by such out-of-fold probabilities).
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.inference import run_in_batches
from emotion_ai.networks.weights import read_weights, weights_uri

_FOLDS = 5
# Of the regression's squared weights: 0.01 and 0.1 rank alike on FER-2013.
_INVERSE_PENALTY = 0.01
_MAX_STEPS = 200
# Some seconds' work.
_FACES_AT_ONCE = 4096


def read_features(
    faces: Faces, release: str, on_faces: Callable[[int], None]
) -> NDArray[np.float32]:
    """Compute what an expression network's last layer sees of each face, float32 [n, features].

    Args:
        faces: Faces of expressions.
        release: "pretrained" or the URI of a release; it may know other emotions.
        on_faces: Called every few seconds with the number of faces that are done.

    Raises:
        InputError: The release's network takes faces of another size.
        Unavailable: The storage failed.
    """
    import keras

    uri = weights_uri(release, EXPRESSION.name)
    spec, weights = read_weights(uri)
    if spec.image_size != faces.info.image_size:
        raise InputError(
            f"{uri}: takes faces of {spec.image_size} pixels; these have {faces.info.image_size}"
        )
    network = build_network(spec)
    network.set_weights(weights)
    trunk = keras.Model(network.input, network.layers[-1].input)
    features = []
    for shard in faces.shards():
        for start in range(0, len(shard), _FACES_AT_ONCE):
            features.append(run_in_batches(trunk, shard.images[start : start + _FACES_AT_ONCE]))
            on_faces(sum(map(len, features)))
    return np.concatenate(features)


def out_of_fold(
    features: NDArray[np.float32], targets: NDArray[np.uint8], groups: NDArray[np.int64], count: int
) -> NDArray[np.float32]:
    """Predict probabilities [n, count] of each face's emotion without its own label.

    Args:
        features: Of the faces, [n, features].
        targets: Their labels, codes below `count`.
        groups: Faces of one group, such as one person's, are in one fold.
        count: The number of emotions.

    Raises:
        InputError: There are too few faces or groups to learn an emotion from the others.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    _check_faces(targets, groups)
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    answers = np.zeros((len(targets), count), np.float32)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # A regression that has not converged ranks as well; a rare emotion is checked below.
        warnings.simplefilter("ignore")
        for others, own in folds.split(scaled, targets, groups):
            _check_emotions(targets, others, own)
            regression: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MAX_STEPS)
            regression.fit(scaled[others], targets[others])
            answers[np.ix_(own, regression.classes_)] = regression.predict_proba(scaled[own])
    return answers


def _check_faces(targets: NDArray[np.uint8], groups: NDArray[np.int64]) -> None:
    if len(np.unique(groups)) < _FOLDS or np.bincount(targets).max() < _FOLDS:
        raise InputError(
            f"too few faces to judge labels by: expected {_FOLDS} of an emotion, and faces of "
            f"{_FOLDS} persons"
        )


def _check_emotions(
    targets: NDArray[np.uint8], others: NDArray[np.int64], own: NDArray[np.int64]
) -> None:
    unknown = np.setdiff1d(targets[own], targets[others])
    if len(unknown) or len(np.unique(targets[others])) < 2:
        raise InputError(
            "too few faces to judge labels by: each emotion needs faces in every fifth of the data"
        )
