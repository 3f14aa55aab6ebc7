"""The pretrained networks: small, served, and as accurate as MODEL_CARD.md says."""

import re
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.inference import run_in_batches
from emotion_ai.networks.weights import PRETRAINED, read_weights, weights_uri
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.server.process import server_process
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import open_table, read_blocks

from support.face_csv import FER7
from support.server_calls import eventually

PROJECT = Path(__file__).parents[2]
FER = PROJECT.parent / "shared/data/fer2013.csv.gz"
PUBLIC_TEST = 1
KINDS = ("keypoints", "expression")


def test_pretrained_weights_are_small() -> None:
    files = [Path(weights_uri(PRETRAINED, kind)) for kind in KINDS]
    assert sum(file.stat().st_size for file in files) <= 12_000_000
    for file in files:
        spec, weights = read_weights(str(file))
        assert sum(w.size for w in weights) <= 3_000_000
        assert spec.training["epochs"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--prefer_tflite_model"]])
def test_server_serves_pretrained_networks(tmp_path: Path, flags: list[str]) -> None:
    faces = next(draw_faces(7, 1)).images[..., None]
    with (
        server_process(["--pretrained", "--port", "0", *flags], tmp_path / "log") as (address, _),
        Client(address, faces="whole") as client,
    ):
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        response = client.predict_arrays(faces)
    assert response.outputs["keypoints"].shape == (7, 15, 2)
    np.testing.assert_allclose(response.outputs["emotion_probabilities"].sum(-1), 1, atol=1e-5)
    assert ("LiteRT serves" in (tmp_path / "log").read_text()) == bool(flags)


@pytest.mark.real_data
@pytest.mark.skipif(not FER.exists(), reason="the real faces are not available")
def test_pretrained_accuracy_matches_the_model_card() -> None:
    spec, weights = read_weights(weights_uri(PRETRAINED, "expression"))
    network = build_network(spec)
    network.set_weights(weights)
    correct = count = 0
    blocks = read_blocks(open_table(str(FER), "expression"), FER7, DataChecks())
    for block in blocks:
        chosen = block.rows.split == PUBLIC_TEST
        if chosen.any():
            logits = run_in_batches(network, block.rows.images[chosen])
            correct += int((logits.argmax(-1) == block.rows.targets[chosen]).sum())
            count += int(chosen.sum())
    card = (PROJECT / "MODEL_CARD.md").read_text()
    # The two halves of PublicTest.
    rows = re.findall(r"^\| (?:validation|test) \| (\d+) \| (0\.\d+) \(", card, re.MULTILINE)
    assert len(rows) == 2, card
    stated = sum(int(faces) for faces, _ in rows)
    stated_accuracy = sum(int(faces) * float(accuracy) for faces, accuracy in rows) / stated
    # A prepared split leaves out rows without a face.
    assert count >= stated > 0.98 * count
    assert abs(correct / count - stated_accuracy) < 0.003
