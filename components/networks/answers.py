"""Answer banks: what teachers answered to the faces of a training, in a file.

An answer bank is an .npz with two arrays: `answers`, float16 [epochs, faces shown in an epoch, k],
probabilities in the order in which `batches.epoch_batches` shows the faces; and `about`, the
`AnswersInfo` as JSON. Whatever can read those faces can write one. Imports no Keras.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TRAIN, Faces, FacesInfo
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.settings import StrictModel, matching
from emotion_ai.storage.array_files import unpack_arrays

_SUFFIX = ".npz"
# An address with the digest of its content, as images have it: NAME@sha256:DIGEST.
_DIGEST = "@sha256:"
_MAX_BYTES = 1 << 30
# Rounding to float16 changes each probability by less than one in two thousand.
_TOLERANCE = 0.01

Sha256 = Annotated[str, matching("[0-9a-f]{64}", "a SHA-256, 64 hexadecimal digits")]


class Teacher(StrictModel):
    """Who answered.

    Attributes:
        name: "pretrained", the address of a release, or what a person calls it: the package and
            its licence, the data it was trained on. The model card shows it.
        sha256: Of the file with its weights.
        share: Its share of each answer.
    """

    name: Annotated[str, matching(r"[^\x00-\x1f\x7f|`]{1,300}", "1 to 300 characters, none a |")]
    sha256: Sha256
    share: Annotated[float, Field(gt=0, le=1)]


class AnswersInfo(StrictModel):
    """What a bank answers, and who did.

    Attributes:
        labels: The emotions, in the order of the answers.
        faces: Fingerprint of the prepared faces; see `faces_fingerprint`.
        augmentation: How they were augmented: the fields of `AugmentationPolicy`. A bank from
            before there was `degraded` lacks it, and is read as one with 0.
        seed: The seed of order, augmentation and mixing.
        batch_size: Faces that are mixed among themselves.
        mixup: As in `TrainingSettings`.
        cutmix: As in `TrainingSettings`.
        teachers: Who answered.
    """

    schema_version: Literal[1] = 1
    labels: tuple[str, ...]
    faces: Sha256
    augmentation: dict[str, float]
    seed: int
    batch_size: int
    mixup: float
    cutmix: float
    teachers: Annotated[tuple[Teacher, ...], Field(min_length=1, max_length=100)]

    @field_validator("augmentation")
    @classmethod
    def _add_degraded(cls, augmentation: dict[str, float]) -> dict[str, float]:
        return augmentation | {"degraded": augmentation.get("degraded", 0.0)}


class AnswerBank(NamedTuple):
    """An answer bank in memory.

    Attributes:
        info: What it answers, and who did.
        answers: float16 [epochs, faces shown in an epoch, k].
        sha256: Of the file.
    """

    info: AnswersInfo
    answers: NDArray[np.float16]
    sha256: str


def is_bank(teacher: str) -> bool:
    """Return whether a teacher's name is the address of an answer bank."""
    return teacher.partition(_DIGEST)[0].endswith(_SUFFIX)


def only_bank(teachers: Sequence[str]) -> str:
    """Return the answer bank among the teachers of a training; "" if there is none.

    Raises:
        InputError: There are other teachers beside it.
    """
    banks = [teacher for teacher in teachers if is_bank(teacher)]
    if banks and len(teachers) > 1:
        raise InputError(
            f"teachers {', '.join(teachers)}: a bank of answers teaches alone; let all of them "
            "answer in one bank"
        )
    return banks[0] if banks else ""


def faces_fingerprint(info: FacesInfo) -> str:
    """Return the SHA-256 of the faces that a training shows: their pixels and splits."""
    shown = {
        name: digest
        for name, digest in sorted(info.sha256.items())
        if name.startswith(("images-", "split-"))
    }
    return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def describe_answers(
    info: FacesInfo, settings: TrainingSettings, seed: int, teachers: Sequence[Teacher]
) -> AnswersInfo:
    """Return the `about` of a bank for a training.

    Args:
        info: The prepared faces.
        settings: The training's settings.
        seed: The training's seed.
        teachers: Who answers.
    """
    return AnswersInfo(
        labels=info.labels,
        faces=faces_fingerprint(info),
        augmentation=info.augmentation,
        seed=seed,
        batch_size=settings.batch_size,
        mixup=settings.mixup,
        cutmix=settings.cutmix,
        teachers=tuple(teachers),
    )


def pack_answers(info: AnswersInfo, answers: NDArray) -> bytes:
    """Serialize answers [epochs, faces shown in an epoch, k] to the content of a bank."""
    text = np.frombuffer(info.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, about=text, answers=answers.astype(np.float16))
    return buffer.getvalue()


def read_bank(address: str) -> AnswerBank:
    """Read an answer bank.

    Args:
        address: A local path or gs:// address; with "@sha256:DIGEST" only that content is taken.

    Raises:
        InputError: The file is damaged, too large, another one than the digest says, or no bank.
        Unavailable: The file cannot be read.
    """
    uri, _, digest = address.partition(_DIGEST)
    data = storage.read_bytes(uri, _MAX_BYTES)
    sha256 = hashlib.sha256(data).hexdigest()
    if digest and sha256 != digest:
        raise InputError(f"{uri}: changed while the run went on; run again with the bank as it is")
    try:
        arrays = unpack_arrays(data, _MAX_BYTES)
        info = AnswersInfo.model_validate_json(arrays["about"].tobytes())
        answers = arrays["answers"]
        _check_answers(answers, len(info.labels))
    except (ValueError, KeyError) as error:
        raise InputError(f"{uri}: not a bank of answers: {error}") from None
    return AnswerBank(info, answers, sha256)


def with_digest(uri: str, bank: AnswerBank) -> str:
    """Return the address of a bank of this very content, for `read_bank`."""
    return f"{uri.partition(_DIGEST)[0]}{_DIGEST}{bank.sha256}"


def check_bank(address: str, bank: AnswerBank, expected: Mapping[str, Any]) -> None:
    """Check before a training that a bank's answers are for it.

    Args:
        address: The bank's address.
        bank: The bank.
        expected: Fields of `AnswersInfo` as the training has them; others are not compared.

    Raises:
        InputError: They are for another training.
    """
    for name, value in expected.items():
        found = getattr(bank.info, name)
        if found != value:
            raise _other_training(
                address, f"for {name} {_shown(found)}; this training has {_shown(value)}"
            )


def open_bank(
    address: str, faces: Faces, settings: TrainingSettings, seed: int
) -> NDArray[np.float16]:
    """Read the answers for a training.

    Args:
        address: The bank's path or URI, with its digest; see `with_digest`.
        faces: The training's prepared faces of expressions.
        settings: Of the training.
        seed: Of the training.

    Returns:
        The answers, float16 [epochs, faces shown in an epoch, k].

    Raises:
        InputError: There is no bank at the address, or it is for other faces or settings.
        Unavailable: The file cannot be read.
    """
    bank = read_bank(address)
    own = describe_answers(faces.info, settings, seed, bank.info.teachers)
    check_bank(address, bank, own.model_dump(exclude={"teachers"}))
    rows = len(faces.positions(TRAIN))
    shown = max(1, rows // settings.batch_size) * settings.batch_size
    if bank.answers.shape[1] != min(rows, shown):
        there = bank.answers.shape[1]
        raise _other_training(
            address, f"to {there} faces an epoch; this training shows {min(rows, shown)}"
        )
    return bank.answers


def _check_answers(answers: NDArray, labels: int) -> None:
    """Raise `ValueError` if answers are not probabilities of so many emotions."""
    if answers.dtype != np.float16 or answers.ndim != 3 or answers.shape[2] != labels:
        raise ValueError(
            f"answers are {answers.dtype} {list(answers.shape)}; expected float16 [epochs, faces, "
            f"{labels}]"
        )
    if not answers.size:
        raise ValueError("it answers nothing")
    for epoch in answers:
        total = epoch.sum(axis=1, dtype=np.float32)
        # A comparison with NaN is false.
        if not (epoch.min() >= 0 and np.abs(total - 1).max() <= _TOLERANCE):
            raise ValueError("answers are not probabilities: expected none below 0, and sums of 1")


def _other_training(address: str, what: str) -> InputError:
    uri = address.partition(_DIGEST)[0]
    return InputError(f"{uri}: answers {what}: make the bank anew with `emotion-ai answers`")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 300 else f"{text[:300]}..."
