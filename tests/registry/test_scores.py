"""The words by which `kubectl rollout history` tells releases apart."""

from pathlib import Path

import pytest

from emotion_ai.registry.releases import DataInfo, GateDecision, ReleaseInfo
from emotion_ai.registry.scores import headline

from support.minimal_release import write_minimal_release


@pytest.fixture
def unscored(tmp_path: Path) -> ReleaseInfo:
    return write_minimal_release(tmp_path, "d" * 64)[1].model_copy(update={"metrics": {}})


def scored(
    unscored: ReleaseInfo, accuracy: float, rmse_px: float, fingerprint: str = "f" * 64
) -> ReleaseInfo:
    data = DataInfo(source="faces.csv", fingerprint=fingerprint, rows=9)
    metrics = {
        "expression/Training/accuracy": 0.99,
        "expression/PublicTest/accuracy": 0.98,
        "expression/PrivateTest/accuracy": accuracy,
        "keypoints/train/rmse_px": 0.5,
        "keypoints/validation carved from train/rmse_px": 1.2,
        "keypoints/test carved from train/rmse_px": rmse_px,
    }
    # As release.json has them: in the order of the alphabet, not of the splits.
    metrics = dict(sorted(metrics.items()))
    changes = {"metrics": metrics, "data": {"expression": data, "keypoints": data}}
    return unscored.model_copy(update=changes)


def test_headline_of_a_first_release(unscored: ReleaseInfo) -> None:
    assert headline(scored(unscored, 0.677, 1.48), None) == "67.7 %, 1.48 px"


@pytest.mark.parametrize(
    ("fingerprint", "words"),
    [
        ("f" * 64, "67.7 % (+1.0), 1.48 px (-0.02)"),
        # Scores on other faces say nothing of these.
        ("e" * 64, "67.7 %, 1.48 px"),
    ],
    ids=["the same faces", "other faces"],
)
def test_headline_compares_test_scores_on_the_same_faces(
    unscored: ReleaseInfo, fingerprint: str, words: str
) -> None:
    before = scored(unscored, 0.667, 1.5, fingerprint)
    assert headline(scored(unscored, 0.677, 1.48), before) == words


def test_headline_says_that_a_release_was_forced(unscored: ReleaseInfo) -> None:
    gate = GateDecision(outcome="accepted", forced="a demonstration")
    forced = scored(unscored, 0.143, 4.16).model_copy(update={"gate": gate})
    assert headline(forced, None) == "14.3 %, 4.16 px, forced past the gate"


def test_headline_of_a_release_without_scores_is_empty(unscored: ReleaseInfo) -> None:
    assert headline(unscored, scored(unscored, 0.6, 2.0)) == ""
