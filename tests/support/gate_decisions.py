"""Scores of a good candidate, and decisions of the gate about it."""

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
