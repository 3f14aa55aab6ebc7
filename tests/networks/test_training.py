"""Whole trainings: interrupted, resumed, distilled, diverging."""

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
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.inference import (
    load_network,
    run_in_batches,
    softmax,
)
from emotion_ai.networks.objectives import rmse
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.networks.weights import pack_weights, read_weights, release_path, spec_for
from emotion_ai.steps.train_expression.run import run as train_expression
from emotion_ai.steps.train_keypoints.run import run as train_keypoints

from support.prepared_faces import write_faces

SETTINGS = {
    "epochs": 4,
    "batch_size": 14,
    "widths": [8, 16],
    "learning_rate": 0.003,
    # In bfloat16 rounding differences from the order of sums grow, so weights are not comparable.
    "precision": "float32",
}


def output_paths(folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    return {name: str(folder / name) for name in ("model", "history", "curves")}


def start_training(faces: Path, folder: Path, checkpoints: Path | str) -> subprocess.Popen[str]:
    code = (
        "import sys, json\n"
        "from emotion_ai.networks.training import TrainingContext\n"
        "from emotion_ai.steps.train_expression.run import run as train_expression\n"
        "faces, settings, checkpoints, outputs = map(json.loads, sys.argv[1:])\n"
        "context = TrainingContext(seed=3, checkpoints=checkpoints)\n"
        "train_expression(faces, settings, context, outputs)\n"
    )
    arguments = [str(faces), SETTINGS, str(checkpoints), output_paths(folder)]
    command = [sys.executable, "-u", "-c", code, *map(json.dumps, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a training without interruption; return the folder with its faces and model."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    faces = write_faces(folder / "faces", "expression")
    process = start_training(faces, folder, folder / "checkpoints")
    process.communicate()
    assert process.returncode == 0
    return folder


@pytest.mark.parametrize("storage_kind", ["local", pytest.param("gs", marks=pytest.mark.slow)])
def test_train_resumes_after_a_kill_with_the_same_weights(
    uninterrupted: Path, tmp_path: Path, storage_kind: str, request: pytest.FixtureRequest
) -> None:
    checkpoints = str(tmp_path / "checkpoints")
    if storage_kind == "gs":
        checkpoints = storage.join(request.getfixturevalue("cloud_storage"), tmp_path.name)
    faces = uninterrupted / "faces"
    killed = start_training(faces, tmp_path / "killed", checkpoints)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("epoch 2/4"):
            killed.send_signal(signal.SIGKILL)
            break
    killed.wait()
    assert not (tmp_path / "killed" / "history").exists()

    resumed = start_training(faces, tmp_path / "killed", checkpoints)
    log, _ = resumed.communicate()
    assert "resuming after epoch" in log
    assert "epoch 1/4" not in log

    expected = load_network(uninterrupted / "model").get_weights()
    weights = load_network(tmp_path / "killed" / "model").get_weights()
    for actual, desired in zip(weights, expected, strict=True):
        # Threads do not always sum in the same order.
        np.testing.assert_allclose(actual, desired, atol=1e-4)
    remaining = [storage.join(checkpoints, name) for name in storage.list_names(checkpoints)]
    assert not any(storage.list_names(folder) for folder in remaining), "checkpoint not removed"


def test_train_keypoints_learns_positions_in_pixels(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "keypoints")
    settings = SETTINGS | {"epochs": 6}
    train_keypoints(
        str(path),
        settings,
        TrainingContext(1, "", str(tmp_path / "c")),
        output_paths(tmp_path / "out"),
    )
    faces = Faces(path)
    train = faces.take(faces.positions(0))
    network = load_network(tmp_path / "out" / "model")
    predicted = run_in_batches(network, train.images)
    assert predicted.shape == (len(train), 15, 2)
    centre = np.full_like(train.targets, 48.0)
    assert rmse(predicted, train.targets) < 0.6 * rmse(centre, train.targets)
    history = json.loads((tmp_path / "out" / "history").read_text())
    assert [entry["epoch"] for entry in history["epochs"]] == [1, 2, 3, 4, 5, 6]
    assert "<img" in (tmp_path / "out" / "curves").read_text()
    validation = faces.take(faces.positions(1))
    score = rmse(run_in_batches(network, validation.images), validation.targets)
    assert score == pytest.approx(history["score_float16"], rel=1e-5)
    assert score == pytest.approx(history["score_float32"], rel=1e-2)


def write_teacher(registry: Path, faces: Faces, emotion: str) -> str:
    """Write a release whose network predicts one emotion for any face; return its path."""
    spec = spec_for(faces.info, TrainingSettings(widths=(8,)))
    network = build_network(spec)
    *others, kernel, bias = network.get_weights()
    bias[faces.info.labels.index(emotion)] = 6
    path = registry / "1" / release_path("expression")
    path.parent.mkdir(parents=True)
    path.write_bytes(pack_weights(spec, [*others, 0 * kernel, bias]))
    return str(registry / "1")


def test_train_expression_mixes_teachers_and_labels_by_distillation(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    faces = Faces(path)
    context = TrainingContext(teachers=(write_teacher(tmp_path / "registry", faces, "sad"),))
    shares = []
    for distillation in (0.0, 0.8):
        folder = tmp_path / str(distillation)
        settings = SETTINGS | {"distillation": distillation}
        train_expression(str(path), settings, context, output_paths(folder))
        history = json.loads((folder / "history").read_text())
        assert history["teachers"] == list(context.teachers)
        predicted = softmax(
            run_in_batches(load_network(folder / "model"), faces.take(np.arange(98)).images)
        )
        shares.append((predicted.argmax(axis=1) == faces.info.labels.index("sad")).mean())
    assert shares[0] < 0.6
    assert shares[1] > 0.9


def test_load_teachers_rejects_other_emotions(tmp_path: Path) -> None:
    faces = Faces(str(write_faces(tmp_path / "faces", "expression")))
    teacher = tmp_path / "teacher" / release_path("expression")
    teacher.parent.mkdir(parents=True)
    spec = spec_for(faces.info, TrainingSettings(widths=(8,)))
    spec = spec.model_copy(update={"labels": ("happy", "sad")})
    teacher.write_bytes(pack_weights(spec, build_network(spec).get_weights()))
    context = TrainingContext(teachers=(str(tmp_path / "teacher"),))
    with pytest.raises(InputError, match=r"expression\.npz: predicts happy, sad .* 48 pixels"):
        train_expression(str(tmp_path / "faces"), SETTINGS, context, output_paths(tmp_path / "out"))


def test_train_expression_model_equals_its_weights_file(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    settings = SETTINGS | {"epochs": 1}
    train_expression(str(path), settings, TrainingContext(), output_paths(tmp_path / "out"))
    _, expected = read_weights(str(tmp_path / "out" / "model" / "weights.npz"))
    network = load_network(tmp_path / "out" / "model")
    for weights, desired in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weights, desired)


def test_probabilities_of_an_expression_sum_to_one(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    settings = SETTINGS | {"epochs": 1}
    train_expression(str(path), settings, TrainingContext(), output_paths(tmp_path / "out"))
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    probabilities = softmax(run_in_batches(load_network(tmp_path / "out" / "model"), images))
    assert probabilities.shape == (5, 7)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)


def test_train_expression_fails_without_a_model_when_it_diverges(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression", deviation=1e-38)
    with pytest.raises(InputError, match="diverged"):
        train_expression(str(path), SETTINGS, TrainingContext(), output_paths(tmp_path / "out"))
    assert not (tmp_path / "out" / "model" / "model.keras").exists()


def test_train_keypoints_rejects_faces_of_the_other_kind(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    with pytest.raises(InputError, match="expected keypoints"):
        train_keypoints(str(path), SETTINGS, TrainingContext(), output_paths(tmp_path / "out"))


def test_train_expression_names_an_unknown_setting(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    with pytest.raises(InputError, match=r"training\.expression\.epoch is unknown"):
        train_expression(str(path), {"epoch": 3}, TrainingContext(), output_paths(tmp_path / "out"))


@pytest.mark.parametrize("name", ["mixup", "cutmix", "logit_adjustment"])
def test_train_keypoints_rejects_mixing_settings(tmp_path: Path, name: str) -> None:
    path = write_faces(tmp_path / "faces", "keypoints")
    with pytest.raises(InputError, match=rf"training\.keypoints\.{name}"):
        train_keypoints(
            str(path), SETTINGS | {name: 0.4}, TrainingContext(), output_paths(tmp_path / "out")
        )
