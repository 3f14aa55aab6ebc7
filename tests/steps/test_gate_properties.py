"""Properties of every decision of the gate."""

import dataclasses

from hypothesis import assume, given
from hypothesis import strategies as st

from emotion_ai.steps.evaluate.gate import GateInputs, GateReport, PairScores

from support.gate_decisions import BASELINES, EMOTIONS, GOOD, SPLITS, decide_with

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
