"""Learning from networks trained before, the teachers: their answers become part of the targets."""

from collections.abc import Iterator, Sequence

import numpy as np
from keras import Model
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.networks.architectures import build
from emotion_ai.networks.inference import probabilities
from emotion_ai.networks.mixup import Batch
from emotion_ai.networks.weights import NetworkSpec, read_weights, weights_uri


def load_teachers(addresses: Sequence[str], student: NetworkSpec) -> list[Model]:
    """The networks of the student's kind at `addresses`, named as `weights_uri` takes them.

    Raises:
        InputError: one answers for other emotions, or sees faces of another size.
    """
    teachers = []
    for address in addresses:
        uri = weights_uri(address, student.kind)
        described, weights = read_weights(uri)
        if (described.labels, described.image_size) != (student.labels, student.image_size):
            raise InputError(
                f"{uri}: answers for {', '.join(described.labels)} on faces of "
                f"{described.image_size} pixels; a teacher here must for "
                f"{', '.join(student.labels)} on {student.image_size}"
            )
        teacher = build(described)
        teacher.set_weights(weights)
        teachers.append(teacher)
    return teachers


def with_teacher_targets(
    batches: Iterator[Batch], teachers: Sequence[Model], share: float
) -> Iterator[Batch]:
    """The batches, with that share of every target as the teachers answer the very same images.

    Distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531) from the mean of all
    teachers, each asked about a face and its mirror image; seeing what the student sees, however
    mix_batch it is (Beyer et al. 2021, https://arxiv.org/abs/2106.05237).
    """
    for images, targets, weights in batches:
        if teachers:
            targets = (1 - share) * targets + share * _answer(teachers, images)
        yield images, targets, weights


def _answer(teachers: Sequence[Model], images: NDArray) -> NDArray[np.float32]:
    # PyTorch takes no view that runs backwards.
    views = (images, np.ascontiguousarray(images[:, :, ::-1]))
    answers = [probabilities(t.predict_on_batch(view)) for t in teachers for view in views]
    return np.mean(answers, axis=0, dtype=np.float32)
