"""Make a bank of the answers that releases give to the faces of a training."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.faces.labels import select_emotions
from emotion_ai.networks.answers import (
    AnswersInfo,
    Teacher,
    describe_answers,
    only_bank,
    pack_answers,
)
from emotion_ai.networks.weights import check_teacher, weights_uri
from emotion_ai.pipeline.local.faces import ingest_expression
from emotion_ai.pipeline.local.run import with_absolute_paths
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.registry.champion import read_champion
from emotion_ai.settings import validate_settings
from emotion_ai.steps.prepare.run import run as prepare
from emotion_ai.steps.resolve.checks import find_teachers
from emotion_ai.storage.atomic_files import check_writable_name


def write_answers(
    settings: RunSettings, epochs: int, output: Path, on_epoch: Callable[[int], None]
) -> AnswersInfo:
    """Ask the teachers of a run about the faces that its training will show, and write the answers.

    Args:
        settings: The settings of the run.
        epochs: The number of epochs to answer; the training goes round them.
        output: The bank to write, an .npz.
        on_epoch: Called with the number of epochs answered so far.

    Returns:
        What the bank answers, and who did.

    Raises:
        InputError: A source or a setting is invalid, or a teacher does not fit.
        Unavailable: A storage failed.
    """
    if output.suffix != ".npz":
        raise InputError(f"{output}: expected the name of an .npz file")
    check_writable_name(output)
    settings = with_absolute_paths(settings)
    addresses = _find_releases(settings)
    teachers = [_describe_teacher(address, share=1 / len(addresses)) for address in addresses]
    with tempfile.TemporaryDirectory(prefix="answers-") as folder:
        faces = _prepare_faces(settings, Path(folder))
        # Imported late: Keras takes seconds.
        from emotion_ai.networks.distillation import answer_epochs

        training = settings.training.expression
        answers = []
        for epoch in answer_epochs(faces, training, settings.seed, addresses, epochs):
            answers.append(epoch)
            on_epoch(len(answers))
    info = describe_answers(faces.info, training, settings.seed, teachers)
    storage.write_bytes(str(output), pack_answers(info, np.stack(answers)))
    return info


def _find_releases(settings: RunSettings) -> Sequence[str]:
    if only_bank(settings.teachers):
        raise InputError("teachers: a bank of answers cannot answer; name releases or pretrained")
    addresses = find_teachers(
        settings.teachers, settings.registry, read_champion(settings.registry)
    )
    if not addresses:
        raise InputError("teachers: there is none to answer; name releases with --teachers")
    labels = select_emotions(settings.label_set, settings.emotions)
    for address in addresses:
        check_teacher(address, labels, EXPRESSION.image_size)
    return addresses


def _describe_teacher(address: str, share: float) -> Teacher:
    sha256 = storage.sha256(weights_uri(address, EXPRESSION.name))
    values = {"name": address, "sha256": sha256, "share": share}
    return validate_settings(Teacher, values, "teacher")


def _prepare_faces(settings: RunSettings, folder: Path) -> Faces:
    """Make the faces as the first steps of a run do: these pixels and splits are the same."""
    ingested = ingest_expression(settings, folder / "ingested")
    prepare(
        faces_path=str(ingested.path),
        augmentation=settings.augmentation.expression.model_dump(),
        prepared_path=str(folder / "prepared"),
        preview_path=str(folder / "preview.html"),
    )
    return Faces(folder / "prepared")
