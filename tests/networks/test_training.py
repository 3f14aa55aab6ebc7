"""Trainings as a user meets them: killed, resumed, diverging."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.architectures import build
from emotion_ai.networks.calibration import calibrate
from emotion_ai.networks.inference import (
    load_network,
    predict_expression,
    predict_keypoints,
    run_in_batches,
)
from emotion_ai.networks.mixup import mix_batch
from emotion_ai.networks.objectives import expression_objective, keypoint_objective, rmse
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.networks.weights import pack, read_weights, release_path, spec_for
from emotion_ai.steps.train_expression.run import fit_expression_network
from emotion_ai.steps.train_keypoints.run import fit_keypoint_network

from support.prepared_faces import write_faces

SETTINGS = {
    "epochs": 4,
    "batch_size": 14,
    "widths": [8, 16],
    "learning_rate": 0.003,
    # In bfloat16 what the order of sums leaves of a rounding grows: same training, other digits.
    "precision": "float32",
}


def outputs(folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {name: str(folder / name) for name in ("model", "history", "curves")}


def training_process(faces: Path, folder: Path, checkpoints: Path | str) -> subprocess.Popen[str]:
    code = (
        "import sys, json\n"
        "from emotion_ai.networks.training import TrainingContext\n"
        "from emotion_ai.steps.train_expression.run import fit_expression_network\n"
        "faces, settings, checkpoints, outputs = map(json.loads, sys.argv[1:])\n"
        "origin = TrainingContext(seed=3, checkpoints=checkpoints)\n"
        "fit_expression_network(faces, settings, origin, outputs)\n"
    )
    arguments = [str(faces), SETTINGS, str(checkpoints), outputs(folder)]
    command = [sys.executable, "-u", "-c", code, *map(json.dumps, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with faces and the model of a training on them that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    faces = write_faces(folder / "faces", "expression")
    process = training_process(faces, folder, folder / "checkpoints")
    process.communicate()
    assert process.returncode == 0
    return folder


@pytest.mark.parametrize("place", ["local", pytest.param("gs", marks=pytest.mark.slow)])
def test_a_killed_training_resumes_and_ends_with_the_same_weights(
    undisturbed: Path, tmp_path: Path, place: str, request: pytest.FixtureRequest
) -> None:
    checkpoints = str(tmp_path / "checkpoints")
    if place == "gs":
        checkpoints = storage.join(request.getfixturevalue("cloud_storage"), tmp_path.name)
    faces = undisturbed / "faces"
    killed = training_process(faces, tmp_path / "killed", checkpoints)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("epoch 2/4"):
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    assert not (tmp_path / "killed" / "history").exists()

    resumed = training_process(faces, tmp_path / "killed", checkpoints)
    log, _ = resumed.communicate()
    assert "resuming after epoch" in log
    assert "epoch 1/4" not in log

    one = load_network(undisturbed / "model").get_weights()
    other = load_network(tmp_path / "killed" / "model").get_weights()
    for left, right in zip(one, other, strict=True):
        # Sums over threads are not always taken in the same order.
        np.testing.assert_allclose(left, right, atol=1e-4)
    left = [storage.join(checkpoints, name) for name in storage.list_names(checkpoints)]
    assert not any(storage.list_names(folder) for folder in left), "debris"


def test_keypoints_are_learnt_and_come_in_pixels(tmp_path: Path) -> None:
    from emotion_ai.faces.arrays import Faces

    path = write_faces(tmp_path / "faces", "keypoints")
    settings = SETTINGS | {"epochs": 6}
    fit_keypoint_network(
        str(path), settings, TrainingContext(1, "", str(tmp_path / "c")), outputs(tmp_path / "out")
    )
    faces = Faces(path)
    train = faces.take(faces.positions(0))
    answers = predict_keypoints(tmp_path / "out" / "model", train.images)
    assert answers.shape == (len(train), 15, 2)
    centre = np.full_like(train.targets, 48.0)
    assert rmse(answers, train.targets) < 0.6 * rmse(centre, train.targets)
    history = json.loads((tmp_path / "out" / "history").read_text())
    assert [entry["epoch"] for entry in history["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert "<img" in (tmp_path / "out" / "curves").read_text()
    validation = faces.take(faces.positions(1))
    scored = rmse(
        predict_keypoints(tmp_path / "out" / "model", validation.images), validation.targets
    )
    assert scored == pytest.approx(history["score_float16"], rel=1e-5)
    assert scored == pytest.approx(history["score_float32"], rel=1e-2)


def teacher(registry: Path, faces: Faces, emotion: str) -> str:
    """The address of a release whose network answers the same emotion to any face."""
    described = spec_for(faces.info, TrainingSettings(widths=(8,)))
    network = build(described)
    *others, kernel, bias = network.get_weights()
    bias[faces.info.labels.index(emotion)] = 6
    path = registry / "1" / release_path("expression")
    path.parent.mkdir(parents=True)
    path.write_bytes(pack(described, [*others, 0 * kernel, bias]))
    return str(registry / "1")


def test_expression_learn_from_their_teachers_as_much_as_from_the_labels(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    faces = Faces(path)
    origin = TrainingContext(teachers=(teacher(tmp_path / "registry", faces, "sad"),))
    shares = []
    for distillation in (0.0, 0.8):
        folder = tmp_path / str(distillation)
        settings = SETTINGS | {"distillation": distillation}
        fit_expression_network(str(path), settings, origin, outputs(folder))
        history = json.loads((folder / "history").read_text())
        assert history["teachers"] == list(origin.teachers)
        answers = predict_expression(folder / "model", faces.take(np.arange(98)).images)
        shares.append((answers.argmax(axis=1) == faces.info.labels.index("sad")).mean())
    assert shares[0] < 0.6
    assert shares[1] > 0.9


def test_a_teacher_of_other_emotions_is_refused(tmp_path: Path) -> None:
    faces = Faces(str(write_faces(tmp_path / "faces", "expression")))
    of_five = tmp_path / "five" / release_path("expression")
    of_five.parent.mkdir(parents=True)
    described = spec_for(faces.info, TrainingSettings(widths=(8,)))
    described = described.model_copy(update={"labels": ("happy", "sad")})
    of_five.write_bytes(pack(described, build(described).get_weights()))
    origin = TrainingContext(teachers=(str(tmp_path / "five"),))
    with pytest.raises(InputError, match=r"expression\.npz: answers for happy, sad .* 48 pixels"):
        fit_expression_network(str(tmp_path / "faces"), SETTINGS, origin, outputs(tmp_path / "out"))


def test_the_network_is_to_the_last_bit_what_is_shipped_of_it(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    settings = SETTINGS | {"epochs": 1}
    fit_expression_network(str(path), settings, TrainingContext(), outputs(tmp_path / "out"))
    _, shipped = read_weights(str(tmp_path / "out" / "model" / "weights.npz"))
    network = load_network(tmp_path / "out" / "model")
    for mine, theirs in zip(network.get_weights(), shipped, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_network_too_unsure_of_itself_is_calibrated(tmp_path: Path) -> None:
    faces = Faces(str(write_faces(tmp_path / "faces", "expression")))
    rows = faces.take(np.arange(140))
    network = build(spec_for(faces.info, TrainingSettings(widths=(8,))))
    *_, kernel, bias = network.get_weights()
    spread = run_in_batches(network, rows.images).std()
    network.layers[-1].set_weights([kernel * 2 / spread, bias])
    # Emotions drawn as if its logits, divided by 0.7, were right.
    right = run_in_batches(network, rows.images).astype(float) / 0.7
    chance = np.exp(right) / np.exp(right).sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(1).random((140, 1)) > chance.cumsum(axis=1)
    rows = dataclasses.replace(rows, targets=drawn.sum(axis=1))
    assert calibrate(network, rows) == pytest.approx(0.7, abs=0.15)
    assert calibrate(network, rows) == pytest.approx(1, abs=0.01)


def test_probabilities_add_up(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    settings = SETTINGS | {"epochs": 1}
    fit_expression_network(str(path), settings, TrainingContext(), outputs(tmp_path / "out"))
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    shares = predict_expression(tmp_path / "out" / "model", images)
    assert shares.shape == (5, 7)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)


def test_a_diverging_training_fails_and_leaves_no_model(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression", deviation=1e-38)
    with pytest.raises(InputError, match="diverged"):
        fit_expression_network(str(path), SETTINGS, TrainingContext(), outputs(tmp_path / "out"))
    assert not (tmp_path / "out" / "model" / "model.keras").exists()


def test_faces_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    with pytest.raises(InputError, match="expected keypoints"):
        fit_keypoint_network(str(path), SETTINGS, TrainingContext(), outputs(tmp_path / "out"))


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    with pytest.raises(InputError, match=r"training\.expression\.epoch is unknown"):
        fit_expression_network(
            str(path), {"epoch": 3}, TrainingContext(), outputs(tmp_path / "out")
        )


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_two_faces_in_one_have_no_keypoints(tmp_path: Path, name: str) -> None:
    path = write_faces(tmp_path / "faces", "keypoints")
    with pytest.raises(InputError, match=rf"training\.keypoints\.{name}"):
        fit_keypoint_network(
            str(path), SETTINGS | {name: 0.4}, TrainingContext(), outputs(tmp_path / "out")
        )


@pytest.mark.parametrize("mixing", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_targets_are_mixed_in_the_shares_of_the_pixels(mixing: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 7, 64)
    grays, weight_of = np.linspace(10, 250, 7), np.linspace(0.5, 2, 7)
    images = np.broadcast_to(grays[codes, None, None, None], (64, 48, 48, 1))
    settings = TrainingSettings(**mixing)
    images, targets, weights = mix_batch(
        (images, np.eye(7)[codes], weight_of[codes]), settings, rng
    )
    shares = targets * weights[:, None] / weight_of
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(shares @ grays, images.mean(axis=(1, 2, 3)), rtol=1e-4)
    assert (shares.max(axis=1) < 0.95).any()


def test_unannotated_keypoints_weigh_nothing() -> None:
    objective = keypoint_objective()
    targets = np.random.default_rng(1).uniform(0, 96, (4, 15, 2)).astype(np.float32)
    targets[:, 4:] = np.nan
    y, _ = objective.encode(targets)
    predicted = np.nan_to_num(targets, nan=0.0) + 1.0
    elsewhere = predicted.copy()
    elsewhere[:, 4:] += 50.0
    near, far = np.array(objective.loss(y, predicted)), np.array(objective.loss(y, elsewhere))
    np.testing.assert_allclose(near, far, rtol=1e-6)
    # Huber's parabola at one pixel with its bend at two: 1 / 4.
    np.testing.assert_allclose(near, 0.25, rtol=1e-4)


def test_rare_emotions_weigh_more_and_the_mean_weight_stays_one() -> None:
    counts = np.array([400, 100, 25])
    _, weights = expression_objective(counts, 0.0).encode(np.array([0, 1, 2], np.uint8))
    assert weights[1] == pytest.approx(2 * weights[0])
    assert weights[2] == pytest.approx(4 * weights[0])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
