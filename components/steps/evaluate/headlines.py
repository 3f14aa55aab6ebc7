"""The numbers of an evaluation that KFP shows and compares between runs."""

import math
from collections.abc import Iterator

from emotion_ai.faces.arrays import TEST
from emotion_ai.steps.evaluate.gate import GateReport
from emotion_ai.steps.evaluate.results import ModelEvaluation

# Scores on the test split, by the names that people see.
_SCORES = {
    "expression": {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced_accuracy",
        "macro_f1": "macro_f1",
        "calibration_error": "calibration_error",
    },
    "keypoints": {
        "rmse_px": "rmse_px",
        "nme": "error_by_eye_distance",
        "share_under_5_percent_nme": "share_under_5_percent_error",
    },
}
# Of the baseline and the champion too.
_COMPARED_SCORES = {"expression": "accuracy", "keypoints": "rmse_px"}
_SPLITS = ("train", "validation", "test")


def headlines(
    decision: GateReport, keypoints: ModelEvaluation, expression: ModelEvaluation
) -> dict[str, float]:
    """Return the verdict, both models' scores on the test split, and how many faces there were.

    Args:
        decision: The gate's decision.
        keypoints: The keypoint model's evaluation.
        expression: The expression model's evaluation.

    Returns:
        Numbers by plain names, such as "expression_accuracy" (a share of 0 to 1); those that could
        not be measured are absent.
    """
    numbers = {
        **dict(_verdict(decision)),
        **dict(_model_headlines("expression", expression)),
        **dict(_model_headlines("keypoints", keypoints)),
    }
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def _verdict(decision: GateReport) -> Iterator[tuple[str, float]]:
    failed = sum(not check.passed for check in decision.checks)
    yield "gate_accepted", decision.outcome == "accepted"
    yield "gate_accepted_by_force", bool(decision.forced)
    yield "gate_checks_passed", len(decision.checks) - failed
    yield "gate_checks_failed", failed
    if decision.champion is not None:
        yield "champion", decision.champion


def _model_headlines(kind: str, model: ModelEvaluation) -> Iterator[tuple[str, float]]:
    scores, compared = model.scores[TEST], _COMPARED_SCORES[kind]
    for score, name in _SCORES[kind].items():
        if score in scores:
            yield f"{kind}_{name}", scores[score]
    if f"baseline_{compared}" in scores:
        yield f"{kind}_baseline_{compared}", scores[f"baseline_{compared}"]
    if compared in model.champion_scores:
        yield f"{kind}_champion_{compared}", model.champion_scores[compared]
    for split, predictions in zip(_SPLITS, model.splits, strict=True):
        yield f"{kind}_{split}_faces", predictions.rows_in_split
