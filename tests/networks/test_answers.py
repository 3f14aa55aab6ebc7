"""Banks of answers: written, read, refused where they are for another training, and learnt from."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.answers import (
    AnswersInfo,
    Teacher,
    check_bank,
    describe_answers,
    is_bank,
    only_bank,
    open_bank,
    pack_answers,
    read_bank,
    with_digest,
)
from emotion_ai.networks.distillation import answer_epochs, taught_batches
from emotion_ai.networks.objectives import expression_objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.networks.weights import pack_weights, read_weights, release_path, spec_for
from emotion_ai.steps.train_expression.run import run as train_expression

from support.prepared_faces import write_faces

SEED = 3
SETTINGS = TrainingSettings(
    epochs=3, batch_size=14, widths=(8,), mixup=0.4, cutmix=0.5, precision="float32"
)
TEACHERS = (Teacher(name="a network of others (MIT)", sha256="a" * 64, share=1),)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    return Faces(write_faces(tmp_path_factory.mktemp("answers") / "faces", "expression"))


def uniform(epochs: int = 2, rows: int = 98) -> NDArray[np.float16]:
    return np.full((epochs, rows, 7), 1 / 7, np.float16)


def write_bank(path: Path, training: Faces, answers: NDArray, **changed: Any) -> str:
    info = describe_answers(training.info, SETTINGS, SEED, TEACHERS)
    path.write_bytes(pack_answers(info.model_copy(update=changed), answers))
    return str(path)


def write_teacher(registry: Path, faces: Faces) -> str:
    """Write a release whose untrained network answers differently for each face."""
    from emotion_ai.networks.architectures import build_network

    spec = spec_for(faces.info, SETTINGS)
    path = registry / "1" / release_path("expression")
    path.parent.mkdir(parents=True)
    weights = build_network(spec).get_weights()
    path.write_bytes(pack_weights(spec, [*weights[:-2], 5 * weights[-2], weights[-1]]))
    return str(registry / "1")


def test_a_bank_keeps_its_answers_and_says_who_gave_them(tmp_path: Path, faces: Faces) -> None:
    answers = np.random.default_rng(0).dirichlet(np.ones(7), (2, 98)).astype(np.float16)
    path = write_bank(tmp_path / "bank.npz", faces, answers)
    bank = read_bank(path)
    assert bank.info.teachers == TEACHERS
    np.testing.assert_array_equal(
        open_bank(with_digest(path, bank), faces, SETTINGS, SEED), answers
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"seed": 4}, r"answers for seed 4; this training has 3: make the bank anew"),
        ({"faces": "b" * 64}, r'answers for faces "bbbb.*; this training has "'),
        ({"augmentation": {"scale": 0.35}}, r'answers for augmentation \{"scale": 0.35'),
        ({"batch_size": 7}, r"answers for batch_size 7; this training has 14"),
        ({"mixup": 0.0}, r"answers for mixup 0.0; this training has 0.4"),
        ({"cutmix": 0.0}, r"answers for cutmix 0.0; this training has 0.5"),
        ({"labels": ("a", "b", "c", "d", "e", "f", "g")}, r'answers for labels \["a", "b"'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bank_for_another_training_is_refused(
    tmp_path: Path, faces: Faces, changed: dict[str, Any], sentence: str
) -> None:
    path = write_bank(tmp_path / "bank.npz", faces, uniform(), **changed)
    with pytest.raises(InputError, match=sentence):
        open_bank(path, faces, SETTINGS, SEED)


def test_a_bank_from_before_there_was_degraded_answers_faces_that_are_not(
    tmp_path: Path, faces: Faces
) -> None:
    earlier = {"mirror": 0.5, "rotation": 10.0}
    path = write_bank(tmp_path / "bank.npz", faces, uniform(), augmentation=earlier)
    with np.load(path) as arrays:
        assert json.loads(arrays["about"].tobytes())["augmentation"] == earlier
    bank = read_bank(path)
    check_bank(path, bank, {"augmentation": earlier | {"degraded": 0.0}})
    with pytest.raises(InputError, match=r'"degraded": 0.0\}; this training has .*: 0.2\}'):
        check_bank(path, bank, {"augmentation": earlier | {"degraded": 0.2}})


def test_a_bank_for_other_epochs_of_faces_is_refused(tmp_path: Path, faces: Faces) -> None:
    path = write_bank(tmp_path / "bank.npz", faces, uniform(rows=84))
    with pytest.raises(InputError, match="answers to 84 faces an epoch; this training shows 98"):
        open_bank(path, faces, SETTINGS, SEED)


@pytest.mark.parametrize(
    "answers",
    [
        np.full((2, 98, 7), 1 / 7),
        np.full((2, 98, 7), 0.5, np.float16),
        np.full((2, 98, 7), np.nan, np.float16),
        np.full((2, 98, 6), 1 / 6, np.float16),
        np.tile(np.array([1.5, -0.5, 0, 0, 0, 0, 0], np.float16), (2, 98, 1)),
        np.empty((0, 98, 7), np.float16),
        np.empty((2, 0, 7), np.float16),
    ],
    ids=["float64", "sums", "nan", "labels", "negative", "epochs", "faces"],
)
def test_answers_that_are_no_probabilities_are_refused(
    tmp_path: Path, faces: Faces, answers: NDArray
) -> None:
    info = describe_answers(faces.info, SETTINGS, SEED, TEACHERS)
    buffer = io.BytesIO()
    about = np.frombuffer(info.model_dump_json().encode(), np.uint8)
    np.savez(buffer, about=about, answers=answers)
    path = tmp_path / "bank.npz"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match=r"bank\.npz: not a bank of answers: "):
        read_bank(str(path))


def test_what_is_no_bank_is_refused(tmp_path: Path, faces: Faces) -> None:
    path = tmp_path / "bank.npz"
    for content in (b"", b"nothing", pack_weights(spec_for(faces.info, SETTINGS), [])):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bank\.npz: not a bank of answers: "):
            read_bank(str(path))


def test_a_bank_that_changed_is_refused(tmp_path: Path, faces: Faces) -> None:
    path = write_bank(tmp_path / "bank.npz", faces, uniform())
    address = with_digest(path, read_bank(path))
    assert with_digest(address, read_bank(address)) == address
    write_bank(tmp_path / "bank.npz", faces, uniform(epochs=3))
    with pytest.raises(InputError, match=r"bank\.npz: changed while the run went on"):
        read_bank(address)


def test_a_bank_teaches_alone() -> None:
    assert only_bank(["bank.npz"]) == "bank.npz"
    assert only_bank(["1", "pretrained"]) == ""
    assert is_bank("gs://bucket/bank.npz@sha256:" + "a" * 64)
    with pytest.raises(InputError, match=r"teachers 1, bank\.npz: a bank of answers teaches alone"):
        only_bank(["1", "bank.npz"])


def test_a_name_that_would_break_the_model_card_is_refused() -> None:
    for name in ("", "a|b", "a\nb", "a`b", "a" * 301):
        with pytest.raises(ValueError, match="1 to 300 characters"):
            Teacher(name=name, sha256="a" * 64, share=1)


def test_the_training_goes_round_the_epochs_of_a_bank(tmp_path: Path, faces: Faces) -> None:
    answers = np.stack([np.eye(7, dtype=np.float16)[np.full(98, e)] for e in (0, 1)])
    path = write_bank(tmp_path / "bank.npz", faces, answers)
    objective = expression_objective(np.ones(7), 0)
    all_taught = SETTINGS.model_copy(update={"distillation": 1.0})
    batches = taught_batches(faces, objective, all_taught, SEED, [path])
    shown = [list(batches(epoch)) for epoch in range(3)]
    for epoch in range(3):
        assert all((targets.argmax(1) == epoch % 2).all() for _, targets, _ in shown[epoch])
    for (first, *_), (second, *_), (third, *_) in zip(*shown, strict=True):
        np.testing.assert_array_equal(first, third)
        assert (first != second).any()


def test_a_bank_of_every_epoch_teaches_as_its_teachers_do(tmp_path: Path, faces: Faces) -> None:
    teacher = write_teacher(tmp_path / "registry", faces)
    answers = np.stack(list(answer_epochs(faces, SETTINGS, SEED, [teacher], SETTINGS.epochs)))
    bank = write_bank(tmp_path / "bank.npz", faces, answers)
    learnt, histories = [], []
    for name, teachers in (("asked", teacher), ("read", bank)):
        folder = tmp_path / name
        folder.mkdir()
        outputs = {each: str(folder / each) for each in ("model", "history", "curves")}
        context = TrainingContext(seed=SEED, teachers=(teachers,))
        train_expression(str(faces.path), SETTINGS.model_dump(), context, outputs)
        learnt.append(read_weights(str(folder / "model" / "weights.npz"))[1])
        histories.append(json.loads((folder / "history").read_text()))
    asked, read = histories
    losses = [[epoch["loss"] for epoch in history["epochs"]] for history in histories]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert asked["best_epoch"] == read["best_epoch"]
    for one, other in zip(*learnt, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-3)
    assert asked["teachers"] == [teacher]
    assert "answers" not in asked
    assert read["teachers"] == [TEACHERS[0].name]
    assert read["answers"]["epochs"] == SETTINGS.epochs
    assert read["answers"]["sha256"] == read_bank(bank).sha256


def test_about_is_json_that_others_can_write(faces: Faces) -> None:
    info = describe_answers(faces.info, SETTINGS, SEED, TEACHERS)
    written = json.loads(info.model_dump_json())
    assert AnswersInfo.model_validate(written) == info
    assert set(written) == {
        "schema_version", "labels", "faces", "augmentation", "seed", "batch_size", "mixup",
        "cutmix", "teachers",
    }  # fmt: skip
