"""The gate's rules one by one, and properties of every decision."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.settings import validate_settings
from emotion_ai.steps.evaluate.gate import GateInputs, GateReport, GateSettings, PairScores, decide

EMOTIONS = ("angry", "happy", "sad")
GOOD = {
    "expression/finite_share": 1.0,
    "expression/accuracy": 0.60,
    "expression/balanced_accuracy": 0.55,
    "expression/macro_f1": 0.54,
    "expression/calibration_error": 0.05,
    **{f"expression/recall/{name}": 0.5 for name in EMOTIONS},
    "keypoints/finite_share": 1.0,
    "keypoints/rmse_px": 2.0,
    "keypoints/share_under_5_percent_nme": 0.7,
    **{f"keypoints/rmse_px/{name}": 2.0 for name in NAMES},
}
BASELINES = {"expression/accuracy": 0.25, "keypoints/rmse_px": 3.9}
SPLITS = {"expression": "PrivateTest", "keypoints": "test"}


def gate_inputs(champion: dict[str, float] | None = None, **changed: float) -> GateInputs:
    """Inputs for a good candidate with some scores changed; a double underscore is a "/"."""
    scores = GOOD | {name.replace("__", "/"): value for name, value in changed.items()}
    versioned = None if champion is None else (3, PairScores(GOOD | champion, EMOTIONS))
    return GateInputs(PairScores(scores, EMOTIONS), BASELINES, SPLITS, versioned)


def gate_settings(settings: dict) -> GateSettings:
    return validate_settings(GateSettings, settings, "gate")


def decide_with(settings: dict, inputs: GateInputs, force: str = "") -> GateReport:
    return decide(gate_settings(settings), inputs, force)


def test_decide_uses_floors_and_baselines_without_a_champion() -> None:
    report = decide_with(
        {"expression": {"accuracy": 0.5}, "keypoints": {"rmse_px": 2.5}}, gate_inputs()
    )
    assert report.outcome == "accepted"
    assert report.champion is None
    assert "first run: there is no champion, so floors and baselines alone decide" in report.reasons
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
            "expression accuracy on PrivateTest is 25.0 %, no better than always answering the "
            "most frequent emotion of train (25.0 %)",
        ),
        (
            {},
            {"keypoints__rmse_px": 4.2},
            "keypoint RMSE on test is 4.20 px, no better than the mean face of train (3.90 px)",
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
        "share of faces whose keypoint answer is a number on test is 75.0 %, below the floor of "
        "100.0 %"
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
        ({"expression": {"recall": {"bored": 0.5}}}, "'bored' is not an emotion"),
        ({"keypoints": {"rmse_px": 0}}, "gate.keypoints.rmse_px"),
        ({"keypoints": {"rmse_px": float("inf")}}, "gate.keypoints.rmse_px"),
        ({"keypoints": {"keypoint_rmse_px": {"chin": 2.0}}}, "'chin' is not a keypoint"),
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


shares = st.floats(0, 1)
pixels = st.floats(0.01, 30)


@st.composite
def scores(draw: st.DrawFn) -> dict[str, float]:
    drawn = {
        name: draw(pixels if "rmse_px" in name else shares)
        for name in GOOD
        if not name.endswith("finite_share")
    }
    missing = draw(st.sets(st.sampled_from(sorted(drawn)), max_size=3))
    finite = {f"{kind}/finite_share": 1.0 for kind in ("expression", "keypoints")}
    return finite | {name: value for name, value in drawn.items() if name not in missing}


optional_share = st.none() | shares
gates = st.fixed_dictionaries(
    {
        "expression": st.fixed_dictionaries(
            {"accuracy": optional_share, "every_recall": optional_share, "macro_f1": optional_share}
        ),
        "keypoints": st.fixed_dictionaries(
            {"rmse_px": st.none() | pixels, "every_rmse_px": st.none() | pixels}
        ),
        "champion": st.fixed_dictionaries(
            {"accuracy": optional_share, "recall": optional_share, "rmse_px": st.none() | pixels}
        ),
    }
)


@given(gates, scores(), st.none() | scores(), st.data())
def test_decide_is_monotonic_in_the_scores(
    settings: dict, candidate: dict, champion: dict | None, data: st.DataObject
) -> None:
    versioned = None if champion is None else (3, PairScores(champion, EMOTIONS))
    baselines = {"expression/accuracy": data.draw(shares), "keypoints/rmse_px": data.draw(pixels)}
    inputs = GateInputs(PairScores(candidate, EMOTIONS), baselines, SPLITS, versioned)
    before = decide_with(settings, inputs)
    better = {}
    for name, value in candidate.items():
        lower_is_better = "rmse_px" in name or name.endswith("calibration_error")
        step = data.draw(shares)
        better[name] = value * step if lower_is_better else value + (1 - value) * step
    after = decide_with(
        settings, dataclasses.replace(inputs, candidate=PairScores(better, EMOTIONS))
    )
    passed = [check.passed for check in before.checks]
    assert all(
        now for then, now in zip(passed, [c.passed for c in after.checks], strict=True) if then
    )
    assert not (before.outcome == "accepted" and after.outcome == "rejected")


@given(gates, scores(), scores())
def test_decide_rejects_exactly_if_a_check_fails_and_gives_the_reasons(
    settings: dict, candidate: dict, champion: dict
) -> None:
    versioned = (3, PairScores(champion, EMOTIONS))
    report = decide_with(
        settings, GateInputs(PairScores(candidate, EMOTIONS), BASELINES, SPLITS, versioned)
    )
    failed = [check.sentence for check in report.checks if not check.passed]
    assert (report.outcome == "rejected") == bool(failed)
    assert set(failed) <= set(report.reasons)
    assert GateReport.model_validate_json(report.model_dump_json()) == report


@given(scores(), gates)
def test_decide_accepts_an_equal_of_the_champion(candidate: dict, settings: dict) -> None:
    inputs = GateInputs(PairScores(candidate, EMOTIONS), {}, SPLITS)
    assume(decide_with(settings, inputs).outcome == "accepted")
    versioned = (3, PairScores(candidate, EMOTIONS))
    assert (
        decide_with(settings, dataclasses.replace(inputs, champion=versioned)).outcome == "accepted"
    )
