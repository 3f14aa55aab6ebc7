"""A training of 0 epochs releases the weights that it starts from, with their own record."""

import json
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext
from emotion_ai.networks.weights import pack_weights, read_weights, release_path, spec_for
from emotion_ai.steps.train_expression.run import run as train_expression

from support.prepared_faces import write_faces

SETTINGS = {"epochs": 0, "widths": [8, 16], "precision": "float32", "logit_adjustment": 0.5}
RECORD = {"epochs": 41, "best_epoch": 41, "machine": "another machine", "teachers": ["elsewhere"]}


def write_start(folder: Path, faces: Faces, labels: tuple[str, ...] | None = None) -> str:
    """Write a release with an expression network trained elsewhere; return its path."""
    info = faces.info if labels is None else faces.info.model_copy(update={"labels": labels})
    spec = spec_for(info, TrainingSettings(widths=(8, 16)), RECORD)
    path = folder / release_path("expression")
    path.parent.mkdir(parents=True)
    path.write_bytes(pack_weights(spec, build_network(spec).get_weights()))
    return str(folder)


def train(faces: Path, start: str, folder: Path) -> dict[str, float]:
    """Run the training of 0 epochs."""
    folder.mkdir()
    outputs = {name: str(folder / name) for name in ("model", "history", "curves")}
    return train_expression(str(faces), SETTINGS, TrainingContext(start=start), outputs)


def test_weights_and_record_are_those_of_the_start(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    start = write_start(tmp_path / "release", Faces(path))
    numbers = train(path, start, tmp_path / "out")
    assert (numbers["epochs"], numbers["seconds"]) == (0, 0)
    _, given = read_weights(str(Path(start, release_path("expression"))))
    spec, taken = read_weights(str(tmp_path / "out" / "model" / "weights.npz"))
    for weights, desired in zip(taken[:-2], given[:-2], strict=True):
        np.testing.assert_array_equal(weights, desired)
    # The calibration divides the last layer by one number.
    ratio = given[-2] / taken[-2]
    np.testing.assert_allclose(ratio, spec.training["temperature"], rtol=1e-2)
    # The biases were 0, and are not adjusted to how frequent emotions are here.
    np.testing.assert_array_equal(taken[-1], given[-1])
    assert {name: spec.training[name] for name in RECORD} == RECORD
    history = json.loads((tmp_path / "out" / "history").read_text())
    assert spec.training["best_score"] == history["best_score"]
    assert spec.training["taken_from"] == start
    curves = (tmp_path / "out" / "curves").read_text()
    # There is nothing to draw.
    assert "<img" not in curves
    assert f"Not trained: the weights of {start}" in curves


def test_no_weights_to_start_from_are_refused(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    with pytest.raises(
        InputError, match=r"epochs = 0: there are no weights .* name them with init"
    ):
        train(path, "", tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists()


def test_weights_for_other_emotions_are_refused(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "faces", "expression")
    start = write_start(tmp_path / "release", Faces(path), ("happy", "sad"))
    with pytest.raises(InputError, match=r"epochs = 0: the weights of .* predict happy, sad; to"):
        train(path, start, tmp_path / "out")
