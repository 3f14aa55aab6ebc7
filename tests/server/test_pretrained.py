"""The networks that come with this package: as good as their card says, and served at once."""

import re
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.networks.architectures import build
from emotion_ai.networks.inference import run_in_batches
from emotion_ai.networks.weights import PRETRAINED, read_weights, weights_uri
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.server.process import server_process
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import open_table, read_blocks

from support.server_calls import eventually

PROJECT = Path(__file__).parents[2]
FER = PROJECT.parent / "shared/data/fer2013.csv.gz"
PUBLIC_TEST = 1
KINDS = ("keypoints", "expression")


def test_they_are_small() -> None:
    files = [Path(weights_uri(PRETRAINED, kind)) for kind in KINDS]
    assert sum(file.stat().st_size for file in files) <= 12_000_000
    for file in files:
        described, weights = read_weights(str(file))
        assert sum(w.size for w in weights) <= 3_000_000
        assert described.training["epochs"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--prefer_tflite_model"]])
def test_they_answer_on_a_machine_that_never_trained(tmp_path: Path, flags: list[str]) -> None:
    faces = next(draw_faces(7, 1)).images[..., None]
    with (
        server_process(["--pretrained", "--port", "0", *flags], tmp_path / "log") as (address, _),
        Client(address, faces="whole") as client,
    ):
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        answer = client.predict_arrays(faces)
    assert answer.outputs["keypoints"].shape == (7, 15, 2)
    np.testing.assert_allclose(answer.outputs["emotion_probabilities"].sum(-1), 1, atol=1e-5)
    assert ("LiteRT answers" in (tmp_path / "log").read_text()) == bool(flags)


@pytest.mark.real_data
@pytest.mark.skipif(not FER.exists(), reason="the real faces are not here")
def test_the_card_says_how_good_they_are() -> None:
    described, weights = read_weights(weights_uri(PRETRAINED, "expression"))
    network = build(described)
    network.set_weights(weights)
    right = count = 0
    blocks = read_blocks(open_table(str(FER), "expression"), len(described.labels), DataChecks())
    for block in blocks:
        chosen = block.rows.split == PUBLIC_TEST
        if chosen.any():
            logits = run_in_batches(network, block.rows.images[chosen])
            right += int((logits.argmax(-1) == block.rows.targets[chosen]).sum())
            count += int(chosen.sum())
    card = (PROJECT / "MODEL_CARD.md").read_text()
    said = re.search(r"^\| PublicTest \| (\d+) \| ([0-9.]+) ", card, re.MULTILINE)
    assert said is not None, card
    # Rows with no face in them are left out of a prepared split.
    assert count >= int(said[1]) > 0.98 * count
    assert abs(right / count - float(said[2])) < 0.003
