"""Distillation: the predictions of trained networks, the teachers, become part of the targets."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from keras import Model
from numpy.typing import NDArray

from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.answers import only_bank, open_bank
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.batches import epoch_batches
from emotion_ai.networks.inference import softmax
from emotion_ai.networks.mixup import Batch
from emotion_ai.networks.objectives import Objective, expression_objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import (
    NetworkSpec,
    read_weights,
    refuse_other_outputs,
    spec_for,
    weights_uri,
)


def taught_batches(
    faces: Faces,
    objective: Objective,
    settings: TrainingSettings,
    seed: int,
    teachers: Sequence[str],
) -> Callable[[int], Iterator[Batch]]:
    """Return a function that yields the batches of an epoch, with the teachers' part of targets.

    A bank of answers for N epochs is gone round: epoch N shows the faces of epoch 0 again, as they
    were augmented then.

    Args:
        faces: Prepared faces.
        objective: Encodes the targets.
        settings: The training's settings; `distillation` is the teachers' share of each target.
        seed: The training's seed.
        teachers: Releases, "pretrained" or a URI each; or one answer bank; or none.

    Raises:
        InputError: A teacher or the bank does not fit the training.
        Unavailable: The storage failed.
    """

    def batches(epoch: int) -> Iterator[Batch]:
        return epoch_batches(faces, objective, settings, seed, epoch)

    if not teachers:
        return batches
    if bank := only_bank(teachers):
        answers = open_bank(bank, faces, settings, seed)
        return lambda epoch: _with_answers(
            batches(epoch % len(answers)), answers[epoch % len(answers)], settings.distillation
        )
    networks = load_teachers(teachers, spec_for(faces.info, settings))
    return lambda epoch: _with_predictions(batches(epoch), networks, settings.distillation)


def answer_epochs(
    faces: Faces, settings: TrainingSettings, seed: int, teachers: Sequence[str], epochs: int
) -> Iterator[NDArray[np.float16]]:
    """Yield what teachers answer to the faces of each epoch, [faces shown, k]: a bank's content.

    Args:
        faces: Prepared faces.
        settings: The settings of the training that will read the answers.
        seed: Its seed.
        teachers: "pretrained" or the URI of a release, each.
        epochs: The number of epochs, from 0.

    Raises:
        InputError: A teacher does not fit the faces.
        Unavailable: The storage failed.
    """
    networks = load_teachers(teachers, spec_for(faces.info, settings))
    # The images do not depend on the targets.
    objective = expression_objective(np.ones(len(faces.info.labels)), 0)
    for epoch in range(epochs):
        batches = epoch_batches(faces, objective, settings, seed, epoch)
        answers = [mean_prediction(networks, images) for images, *_ in batches]
        yield np.concatenate(answers).astype(np.float16)


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


def mean_prediction(teachers: Sequence[Model], images: NDArray) -> NDArray[np.float32]:
    """Predict the probabilities [n, k] for images and their mirror images by all teachers.

    The mean counts (Hinton et al. 2015, https://arxiv.org/abs/1503.02531).
    """
    # PyTorch does not accept views with negative strides.
    views = (images, np.ascontiguousarray(images[:, :, ::-1]))
    predictions = [softmax(t.predict_on_batch(view)) for t in teachers for view in views]
    return np.mean(predictions, axis=0, dtype=np.float32)


def _with_predictions(
    batches: Iterator[Batch], teachers: Sequence[Model], share: float
) -> Iterator[Batch]:
    """Mix the teachers' predictions into the targets of batches.

    The teachers see the student's images, mixed or not (Beyer et al. 2021,
    https://arxiv.org/abs/2106.05237).
    """
    for images, targets, weights in batches:
        answers = mean_prediction(teachers, images)
        yield images, _mix(targets, answers, share), weights


def _with_answers(
    batches: Iterator[Batch], answers: NDArray[np.float16], share: float
) -> Iterator[Batch]:
    """Mix the answers [faces of the epoch, k] of a bank into the targets of an epoch's batches."""
    start = 0
    for images, targets, weights in batches:
        own = answers[start : start + len(images)].astype(np.float32)
        start += len(images)
        yield images, _mix(targets, own, share), weights


def _mix(targets: NDArray, answers: NDArray, share: float) -> NDArray:
    return (1 - share) * targets + share * answers
