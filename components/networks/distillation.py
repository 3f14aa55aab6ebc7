"""Distillation: the predictions of trained networks, the teachers, become part of the targets."""

from collections.abc import Iterator, Sequence

import numpy as np
from keras import Model
from numpy.typing import NDArray

from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.inference import softmax
from emotion_ai.networks.mixup import Batch
from emotion_ai.networks.weights import (
    NetworkSpec,
    read_weights,
    refuse_other_outputs,
    weights_uri,
)


def load_teachers(releases: Sequence[str], student: NetworkSpec) -> list[Model]:
    """Load the networks of the student's kind from releases.

    Args:
        releases: "pretrained" or the URI of a release, each; see `weights_uri`.
        student: The network to train.

    Returns:
        One network a release.

    Raises:
        InputError: A teacher predicts other emotions than the student, or takes faces of another
            size.
    """
    teachers = []
    for release in releases:
        uri = weights_uri(release, student.kind)
        spec, weights = read_weights(uri)
        refuse_other_outputs(uri, spec, student.labels, student.image_size)
        teacher = build_network(spec)
        teacher.set_weights(weights)
        teachers.append(teacher)
    return teachers


def with_teacher_targets(
    batches: Iterator[Batch], teachers: Sequence[Model], share: float
) -> Iterator[Batch]:
    """Mix the teachers' predictions into the targets of batches.

    Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531) from the mean of all
    teachers, each applied to a face and its mirror image. The teachers see the student's images,
    mixed or not (Beyer et al. 2021, https://arxiv.org/abs/2106.05237).

    Args:
        batches: Batches with one-hot or smoothed targets [n, k].
        teachers: Expression networks; none leaves the batches unchanged.
        share: The teachers' share of each target, 0 to 1.
    """
    for images, targets, weights in batches:
        if teachers:
            targets = (1 - share) * targets + share * _mean_prediction(teachers, images)
        yield images, targets, weights


def _mean_prediction(teachers: Sequence[Model], images: NDArray) -> NDArray[np.float32]:
    # PyTorch does not accept views with negative strides.
    views = (images, np.ascontiguousarray(images[:, :, ::-1]))
    predictions = [softmax(t.predict_on_batch(view)) for t in teachers for view in views]
    return np.mean(predictions, axis=0, dtype=np.float32)
