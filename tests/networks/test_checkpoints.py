"""Checkpoints as they are found: of other trainings, damaged, or made to write elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from emotion_ai.networks import checkpoints
from emotion_ai.networks.checkpoints import DamagedCheckpoint, Progress
from emotion_ai.networks.training import TrainingContext
from emotion_ai.steps.train_expression.run import run as train_expression
from emotion_ai.storage.atomic_files import atomic_write, complete

from support.prepared_faces import write_faces


def small_network() -> keras.Model:
    network = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(4)])
    network.compile("adam", "mse")
    return network


def progress_after(epoch: int, best_epoch: int) -> Progress:
    history = [{"epoch": k + 1, "loss": 1.5, "score": 0.5, "seconds": 2.5} for k in range(epoch)]
    return Progress(epoch=epoch, best_epoch=best_epoch, best_score=0.5, history=history)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    checkpoints.save(str(tmp_path / "a"), progress_after(1, 1), small_network())
    return tmp_path / "a"


def change_state(checkpoint: Path, **values: Any) -> None:
    path = checkpoint / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def name_files(checkpoint: Path, **names: str) -> None:
    files = json.loads((checkpoint / "state.json").read_text())["files"]
    change_state(checkpoint, files=files | {k: files[k] | {"name": n} for k, n in names.items()})


def test_a_checkpoint_holds_the_latest_network_and_the_best_weights(checkpoint: Path) -> None:
    loaded = checkpoints.load(str(checkpoint))
    assert loaded is not None
    progress, network = loaded
    best = [*map(np.copy, progress.best_weights)]
    network.set_weights([w + 1 for w in network.get_weights()])
    progress.epoch = 2
    progress.history.append({"epoch": 2, "loss": 2.5, "score": 0.25, "seconds": 2.5})
    checkpoints.save(str(checkpoint), progress, network)
    names = sorted(path.name for path in checkpoint.iterdir())
    assert names == ["best-00001.npz", "latest-00002.keras", "state.json"]
    again = checkpoints.load(str(checkpoint))
    assert again is not None
    assert again[0].history == progress.history
    assert isinstance(again[0].history[0]["epoch"], int)
    for actual, expected in zip(again[0].best_weights, best, strict=True):
        np.testing.assert_array_equal(actual, expected)
    for actual, expected in zip(again[1].get_weights(), best, strict=True):
        np.testing.assert_array_equal(actual, expected + 1)


def test_there_may_be_none(tmp_path: Path) -> None:
    assert checkpoints.load(str(tmp_path / "none")) is None


DAMAGES: dict[str, Callable[[Path], object]] = {
    "text": lambda path: (path / "state.json").write_text("no JSON"),
    "a list": lambda path: (path / "state.json").write_text("[]"),
    "nested": lambda path: (path / "state.json").write_text("[" * 100_000),
    "unknown key": lambda path: change_state(path, eval="1"),
    "before the first epoch": lambda path: change_state(path, epoch=0, history=[]),
    "best epoch to come": lambda path: change_state(path, best_epoch=2),
    "no best score": lambda path: change_state(path, best_score=None),
    "half a history": lambda path: change_state(path, history=[{"epoch": 1}]),
    "no files": lambda path: change_state(path, files={}),
    "a name that leads out": lambda path: name_files(path, latest="../../victim.keras"),
    "an absolute name": lambda path: name_files(path, best="/etc/hostname"),
    "another file": lambda path: name_files(path, latest="state.json"),
    "latest is gone": lambda path: (path / "latest-00001.keras").unlink(),
    "best is gone": lambda path: (path / "best-00001.npz").unlink(),
    "latest is cut": lambda path: (path / "latest-00001.keras").write_bytes(b"PK\3\4"),
    "best is cut": lambda path: (path / "best-00001.npz").write_bytes(b""),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_told(checkpoint: Path, name: str) -> None:
    DAMAGES[name](checkpoint)
    with pytest.raises(DamagedCheckpoint, match=f"^{checkpoint}"):
        checkpoints.load(str(checkpoint))


def test_a_network_that_keras_does_not_read_is_damage(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of Keras: the file is whole, and of another version."""

    def fail(path: Path) -> None:
        raise TypeError("Could not locate class 'Former'")

    monkeypatch.setattr(keras.saving, "load_model", fail)
    with pytest.raises(DamagedCheckpoint, match="TypeError: Could not locate class 'Former'"):
        checkpoints.load(str(checkpoint))


@pytest.mark.parametrize("name", ["text", "a name that leads out", "latest is cut"])
def test_a_training_starts_anew_beside_a_damaged_checkpoint(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = tmp_path / "victim.keras"
    victim.write_text("of somebody else")
    faces = write_faces(tmp_path / "faces", "expression")
    outputs = {kind: str(tmp_path / kind) for kind in ("model", "history", "curves")}
    settings = {"epochs": 1, "batch_size": 49, "widths": [4]}
    root = tmp_path / "checkpoints"

    def train() -> str:
        context = TrainingContext(seed=3, checkpoints=str(root))
        train_expression(str(faces), settings, context, outputs)
        return capsys.readouterr().out

    assert "epoch 1/1" in train()
    (folder,) = root.iterdir()
    checkpoints.save(str(folder), progress_after(1, 1), small_network())
    DAMAGES[name](folder)
    log = train()
    assert f"starting anew: the checkpoint is damaged: {folder}" in log
    assert "epoch 1/1" in log
    assert victim.read_text() == "of somebody else"
    assert not [*folder.iterdir()]


def test_a_file_that_another_training_writes_stays(tmp_path: Path) -> None:
    uri = str(tmp_path / "checkpoint")
    checkpoints.save(uri, progress_after(1, 1), small_network())
    target = tmp_path / "checkpoint" / "latest-00002.keras"
    with atomic_write(target) as file:
        checkpoints.save(uri, progress_after(3, 3), small_network())
        checkpoints.clear(uri)
        complete(file, target)
    assert [*target.parent.iterdir()] == [target]


def test_trainings_of_the_same_inputs_at_once_do_not_disturb_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has finished and removed the checkpoint that both share."""
    faces = write_faces(tmp_path / "faces", "expression")
    outputs = {kind: str(tmp_path / kind) for kind in ("model", "history", "curves")}
    save = checkpoints.save

    def save_and_lose(uri: str, progress: Progress, network: keras.Model) -> None:
        save(uri, progress, network)
        checkpoints.clear(uri)

    monkeypatch.setattr(checkpoints, "save", save_and_lose)
    settings = {"epochs": 2, "batch_size": 49, "widths": [4]}
    context = TrainingContext(seed=3, checkpoints=str(tmp_path / "checkpoints"))
    train_expression(str(faces), settings, context, outputs)
    assert len(json.loads(Path(outputs["history"]).read_text())["epochs"]) == 2
