"""The gate's floors, baselines and settings, rule by rule."""

import dataclasses

import pytest
from pydantic import ValidationError

from emotion_ai.errors import InputError
from emotion_ai.steps.evaluate.gate import GateSettings, PairScores

from support.gate_decisions import EMOTIONS, GOOD, decide_with, gate_inputs, gate_settings


def test_decide_uses_floors_and_baselines_without_a_champion() -> None:
    report = decide_with(
        {"expression": {"accuracy": 0.5}, "keypoints": {"rmse_px": 2.5}}, gate_inputs()
    )
    assert report.outcome == "accepted"
    assert report.champion is None
    assert report.reasons[0].endswith(" checks passed; there is no champion to compare with")
    assert all(check.passed for check in report.checks)


@pytest.mark.parametrize(
    ("settings", "changed", "reason"),
    [
        (
            {"expression": {"accuracy": 0.5}},
            {"expression__accuracy": 0.412},
            "expression accuracy on PrivateTest is 41.2 %, below the floor of 50.0 %",
        ),
        (
            {"expression": {"every_recall": 0.3}},
            {"expression__recall/sad": 0.1},
            "recall of sad on PrivateTest is 10.0 %, below the floor of 30.0 %",
        ),
        (
            {"expression": {"every_recall": 0.3, "recall": {"happy": 0.7}}},
            {},
            "recall of happy on PrivateTest is 50.0 %, below the floor of 70.0 %",
        ),
        (
            {"expression": {"calibration_error": 0.1}},
            {"expression__calibration_error": 0.2},
            "expression calibration error on PrivateTest is 20.0 %, above the ceiling of 10.0 %",
        ),
        (
            {"keypoints": {"rmse_px": 2.5}},
            {"keypoints__rmse_px": 2.50001},
            "keypoint RMSE on test is 2.50001 px, above the ceiling of 2.50000 px",
        ),
        (
            {"keypoints": {"keypoint_rmse_px": {"nose_tip": 1.5}}},
            {},
            "RMSE of nose tip on test is 2.00 px, above the ceiling of 1.50 px",
        ),
        (
            {"keypoints": {"share_under_5_percent_nme": 0.8}},
            {},
            "share of faces under 5 % keypoint error on test is 70.0 %, below the floor of 80.0 %",
        ),
        (
            {},
            {"expression__accuracy": 0.25},
            "expression accuracy on PrivateTest is 25.0 %, no better than always predicting the "
            "most frequent emotion of the training split (25.0 %)",
        ),
        (
            {},
            {"keypoints__rmse_px": 4.2},
            "keypoint RMSE on test is 4.20 px, no better than the mean face of the training split "
            "(3.90 px)",
        ),
    ],
)
def test_decide_rejects_the_pair_for_one_failed_check(
    settings: dict, changed: dict[str, float], reason: str
) -> None:
    report = decide_with(settings, gate_inputs(**changed))
    assert report.outcome == "rejected"
    assert report.reasons[0] == reason
    assert [check.sentence for check in report.checks if not check.passed] == [reason]
    assert "the two models are released together" in report.reasons[1]


def test_decide_rejects_the_pair_for_either_model() -> None:
    report = decide_with({"keypoints": {"rmse_px": 1.0}}, gate_inputs())
    assert (
        "the two models are released together: the expression model passed and is held back by "
        "the keypoint model" in report.reasons
    )


def test_decide_rejects_predictions_that_are_not_finite() -> None:
    scores = {
        name: value
        for name, value in GOOD.items()
        if name.startswith("expression") or name == "keypoints/finite_share"
    }
    scores["keypoints/finite_share"] = 0.75
    inputs = dataclasses.replace(gate_inputs({}), candidate=PairScores(scores, EMOTIONS))
    report = decide_with({"keypoints": {"rmse_px": 9.0}}, inputs)
    assert report.outcome == "rejected"
    assert report.reasons[0] == (
        "share of faces with finite keypoints on test is 75.0 %, below the floor of 100.0 %"
    )


def test_decide_rejects_a_score_that_could_not_be_measured() -> None:
    scores = {name: value for name, value in GOOD.items() if name != "expression/recall/sad"}
    inputs = dataclasses.replace(gate_inputs(), candidate=PairScores(scores, EMOTIONS))
    assert decide_with({}, inputs).outcome == "accepted"
    report = decide_with({"expression": {"every_recall": 0.1}}, inputs)
    assert report.reasons[0] == (
        "recall of sad on PrivateTest could not be measured; 10.0 % was asked for"
    )


def test_decide_reports_floors_for_unknown_emotions() -> None:
    report = decide_with({"expression": {"recall": {"fear": 0.9}}}, gate_inputs())
    assert report.outcome == "accepted"
    assert any("the floor for fear was not applied" in why for why in report.reasons)


def test_decide_records_force_only_if_it_was_needed() -> None:
    settings = {"expression": {"accuracy": 0.9}}
    report = decide_with(settings, gate_inputs(), " demo for the board ")
    assert (report.outcome, report.forced) == ("accepted", "demo for the board")
    assert report.reasons[0] == "accepted by force all the same: demo for the board"
    assert any("below the floor of 90.0 %" in why for why in report.reasons)
    assert decide_with(settings, gate_inputs(), "   ").outcome == "rejected"
    unneeded = decide_with({}, gate_inputs(), "demo")
    assert (unneeded.outcome, unneeded.forced) == ("accepted", "")
    assert "force_accept (demo) was not needed" in unneeded.reasons


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"expression": {"accuracy": 50}}, "gate.expression.accuracy"),
        ({"expression": {"acuracy": 0.5}}, "gate.expression.acuracy is unknown"),
        (
            {"expression": {"recall": {"bored": 0.5}}},
            "'bored' is no name here; expected an emotion: one of angry",
        ),
        ({"keypoints": {"rmse_px": 0}}, "gate.keypoints.rmse_px"),
        ({"keypoints": {"rmse_px": float("inf")}}, "gate.keypoints.rmse_px"),
        (
            {"keypoints": {"keypoint_rmse_px": {"chin": 2.0}}},
            "'chin' is no name here; expected a keypoint: one of left_eye",
        ),
        ({"champion": {"accuracy": -0.1}}, "gate.champion.accuracy"),
        ({"champion": {"accuracy": float("nan")}}, "gate.champion.accuracy"),
    ],
)
def test_gate_settings_reject_invalid_values(settings: dict, place: str) -> None:
    with pytest.raises(InputError, match=place.replace(".", r"\.")):
        gate_settings(settings)


def test_gate_settings_are_frozen_and_survive_json() -> None:
    settings = gate_settings({"expression": {"accuracy": 1, "recall": {"happy": 0.5}}})
    with pytest.raises(ValidationError):
        settings.expression.accuracy = 0.0
    assert GateSettings.model_validate_json(settings.model_dump_json()) == settings
