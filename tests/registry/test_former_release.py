"""A release of the time before version 0.2 is described, fetched, served and verified as it is."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.faces.arrays import Faces
from emotion_ai.networks.weights import read_weights, weights_uri
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.fetching import fetch
from emotion_ai.registry.releases import INFO_PATH, read_release, release_uri, verify_release
from emotion_ai.rollouts.description import describe
from emotion_ai.rollouts.targets import roll_out
from emotion_ai.rollouts.verification import read_golden_requests, verify_server
from emotion_ai.server.process import server_process
from emotion_ai.steps.evaluate.champion import predict_with_champion

from support.former_release import FORMER_REGISTRY, copy_former_release
from support.gray_faces import expression_faces, keypoint_faces
from support.tiny_saved_model import publish_tiny_release


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A registry with the release as its champion."""
    folder = tmp_path / "registry"
    write_champion(str(folder), copy_former_release(folder))
    return str(folder)


def test_the_release_has_the_names_of_its_day() -> None:
    info = json.loads((FORMER_REGISTRY / "1" / INFO_PATH).read_text())
    assert set(info["data"]) == set(info["training"]) == {"keypoints", "expressions"}
    assert "expressions" in info["lite"]
    assert "assets.extra/networks/expressions.npz" in info["files"]
    # Its golden faces are in the repository: drawn ones, and nobody's.
    assert {data["source"] for data in info["data"].values()} == {"sample://120?seed=3"}


def test_it_is_verified_and_described_with_todays_names(registry: str) -> None:
    verify_release(registry, 1)
    (release,) = describe(registry, 1, None)["releases"]
    assert release["is_champion"]
    assert set(release["data"]) == set(release["training"]) == {"keypoints", "expression"}
    assert release["data"]["expression"]["rows"] == 120
    (listed,) = describe(registry, None, None)["releases"]
    assert "error" not in listed


def test_a_training_may_start_from_it_and_the_gate_compares_with_it(
    registry: str, tmp_path: Path
) -> None:
    for kind in ("keypoints", "expression"):
        spec, weights = read_weights(weights_uri(release_uri(registry, 1), kind))
        assert spec.kind == kind
        assert weights
    keypoints, expression = Faces(keypoint_faces(tmp_path)), Faces(expression_faces(tmp_path))
    champion = predict_with_champion(registry, "1", keypoints, expression)
    assert champion
    assert champion.probabilities is not None
    assert np.isfinite(champion.keypoints).all()


def test_the_server_serves_what_was_fetched(registry: str, tmp_path: Path) -> None:
    into = tmp_path / "models"
    assert fetch(registry, "", into).content_digest == read_release(registry, 1).content_digest
    # As the Deployment's manifest has them.
    arguments = [
        "--port=0",
        f"--model_config_file={into}/models.config",
        "--file_system_poll_wait_seconds=0",
        "--max_num_load_retries=0",
    ]
    # Nothing but the copy is needed.
    (tmp_path / "registry").rename(tmp_path / "away")
    with (
        server_process(arguments, tmp_path / "server.log") as (address, _),
        Client(address) as client,
    ):
        golden = read_golden_requests(str(into / "emotion_ai"), 1)
        assert len(golden.logs) > 1
        assert verify_server(client, 1, golden, time.monotonic() + 120) <= golden.tolerance
        assert client.model_status() == {1: "AVAILABLE"}


def test_it_is_rolled_out_from_and_back_to(registry: str, tmp_path: Path) -> None:
    newer = publish_tiny_release(registry, tmp_path, 1.0, 1.0)
    # Answers of model.tflite, with the differences that release.json allows.
    flags = ["--registry", registry, "--port=0", "--prefer_tflite_model=true"]
    with server_process(flags, tmp_path / "server.log") as (server, _):
        for version in (1, newer, 1):
            assert roll_out(registry, version, server)["answers_checked"] > 1
            assert read_champion(registry) == version
        statuses = describe(registry, None, server)["serving"]["versions"]
    assert statuses["1"] == "AVAILABLE"
