"""Temperature scaling of an expression network."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.calibration import calibrate, favour_rare
from emotion_ai.networks.inference import run_in_batches, softmax
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import spec_for

from support.prepared_faces import write_faces


def test_calibrate_finds_the_temperature_of_the_labels(tmp_path: Path) -> None:
    faces = Faces(str(write_faces(tmp_path / "faces", "expression")))
    rows = faces.take(np.arange(140))
    network = build_network(spec_for(faces.info, TrainingSettings(widths=(8,))))
    *_, kernel, bias = network.get_weights()
    deviation = run_in_batches(network, rows.images).std()
    network.layers[-1].set_weights([kernel * 2 / deviation, bias])
    # Labels drawn from the probabilities of the logits divided by 0.7.
    logits = run_in_batches(network, rows.images).astype(float) / 0.7
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = np.random.default_rng(1).random((140, 1)) > probabilities.cumsum(axis=1)
    rows = dataclasses.replace(rows, targets=drawn.sum(axis=1))
    assert calibrate(network, rows) == pytest.approx(0.7, abs=0.15)
    assert calibrate(network, rows) == pytest.approx(1, abs=0.01)


def test_favour_rare_divides_probabilities_by_a_power_of_the_shares(tmp_path: Path) -> None:
    faces = Faces(str(write_faces(tmp_path / "faces", "expression")))
    images = faces.take(np.arange(20)).images
    network = build_network(spec_for(faces.info, TrainingSettings(widths=(8,))))
    before = softmax(run_in_batches(network, images))
    # An emotion without a face counts as the rarest one.
    weight = np.array([50, 1, 10, 20, 10, 9, 0])
    shares = np.array([50, 1, 10, 20, 10, 9, 1]) / 100
    favour_rare(network, weight, 0)
    np.testing.assert_allclose(softmax(run_in_batches(network, images)), before, atol=1e-6)
    favour_rare(network, weight, 0.4)
    expected = before / shares**0.4
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(run_in_batches(network, images)), expected, atol=1e-5)
