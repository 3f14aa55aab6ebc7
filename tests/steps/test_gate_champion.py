"""The gate's comparison with the champion, rule by rule."""

import dataclasses

import pytest

from emotion_ai.steps.evaluate.gate import PairScores

from support.gate_decisions import EMOTIONS, GOOD, decide_with, gate_inputs


def test_decide_accepts_a_loss_within_the_tolerance() -> None:
    champion = {"expression/accuracy": 0.605, "keypoints/rmse_px": 1.96}
    report = decide_with({}, gate_inputs(champion))
    assert report.outcome == "accepted"
    assert report.champion == 3
    assert (
        "expression accuracy on PrivateTest is 60.0 %, champion 3 scores 60.5 % on the same faces: "
        "a loss of 0.5 points, within the tolerance of 1.0 points" in report.reasons
    )


@pytest.mark.parametrize(
    ("champion", "expected"),
    [
        ({"expression/accuracy": 0.63}, "a loss of 3.0 points, more than the tolerance of 1.0"),
        ({"expression/macro_f1": 0.58}, "a loss of 4.0 points, more than the tolerance of 2.0"),
        ({"keypoints/rmse_px": 1.9}, "a loss of 0.10 px, more than the tolerance of 0.05 px"),
    ],
)
def test_decide_rejects_a_loss_over_the_tolerance(
    champion: dict[str, float], expected: str
) -> None:
    report = decide_with({}, gate_inputs(champion))
    assert report.outcome == "rejected"
    assert expected in report.reasons[0]
    assert "champion 3" in report.reasons[0]


def test_decide_compares_single_emotions_and_keypoints_if_set() -> None:
    champion = {"expression/recall/sad": 0.9, "keypoints/rmse_px/nose_tip": 1.0}
    assert decide_with({}, gate_inputs(champion)).outcome == "accepted"
    settings = {"champion": {"recall": 0.1, "keypoint_rmse_px": 0.5}}
    report = decide_with(settings, gate_inputs(champion))
    failed = [check.name for check in report.checks if not check.passed]
    assert failed == ["expression/PrivateTest/recall/sad", "keypoints/test/rmse_px/nose_tip"]


def test_decide_compares_only_keypoints_of_a_champion_with_other_emotions() -> None:
    keypoints = {name: value for name, value in GOOD.items() if name.startswith("keypoints")}
    other = PairScores(keypoints | {"keypoints/rmse_px": 1.0}, ("anger", "disgust"))
    inputs = dataclasses.replace(gate_inputs(), champion=(3, other))
    report = decide_with({}, inputs)
    compared = [check.name for check in report.checks if check.comparison == "champion"]
    assert compared == ["keypoints/test/rmse_px"]
    assert report.outcome == "rejected"
    assert any("champion 3 knows other emotions (anger, disgust)" in why for why in report.reasons)


def test_decide_ignores_a_champion_without_finite_predictions() -> None:
    other = PairScores({"expression/finite_share": 0.2, "keypoints/finite_share": 0.0}, EMOTIONS)
    report = decide_with({}, dataclasses.replace(gate_inputs(), champion=(3, other)))
    assert report.outcome == "accepted"
    assert "champion 3 gave no usable keypoints on test" in report.reasons
