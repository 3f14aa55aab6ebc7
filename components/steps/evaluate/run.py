"""Evaluate a pair of models on every split, ask the gate about it, and write down why.

Reads both faces artifacts, both models and, where there is one, the champion's release. Writes the
metrics (flat JSON), the confusion matrix (JSON), the gate report (JSON) and a page. Fails when an
input is absent or of the wrong kind, or when the champion cannot be read; never because a model is
bad: that is a result.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TEST, TRAIN, Faces
from emotion_ai.settings import validate_settings
from emotion_ai.steps.evaluate import metrics
from emotion_ai.steps.evaluate.champion import ChampionAnswers, ask_champion
from emotion_ai.steps.evaluate.gate import GateInputs, PairScores, decide
from emotion_ai.steps.evaluate.report import write_report
from emotion_ai.steps.evaluate.results import ModelEvaluation
from emotion_ai.steps.evaluate.scoring import flat_metrics, score_expression, score_keypoints
from emotion_ai.steps.evaluate.settings import GateSettings
from emotion_ai.storage.atomic_files import remove_on_failure


class Evaluation(NamedTuple):
    """The gate's verdict, and the confusion on the test split: `confusion[true][answered]`."""

    accepted: bool
    labels: list[str]
    confusion: list[list[int]]


def run(
    keypoint_faces: str,
    expression_faces: str,
    keypoint_model: str,
    expression_model: str,
    registry: str,
    champion: str,
    gate: Mapping[str, Any],
    force_accept: str,
    metrics_path: str,
    confusion_path: str,
    gate_report_path: str,
    report_path: str,
) -> Evaluation:
    """Judge a candidate pair; paths are local, `registry` is a URI, `champion` is "" or a version.

    `gate` is `GateSettings` as data; `force_accept` is the reason for accepting a candidate that
    the gate rejects ("" = do not). Metrics are named <half>/<split's own name>/<score>.

    Raises `InputError` and `Unavailable` as the module says.
    """
    from emotion_ai.networks.inference import predict_expression, predict_keypoints

    settings = validate_settings(GateSettings, gate, "gate")
    keypoints = _open(keypoint_faces, "keypoints")
    expression = _open(expression_faces, "expression")
    rival = ask_champion(registry, champion, keypoints, expression)
    keypoint_half = score_keypoints(
        keypoints, lambda images: predict_keypoints(keypoint_model, images), rival
    )
    expression_half = score_expression(
        expression, lambda images: predict_expression(expression_model, images), rival
    )
    decision = decide(settings, _question(keypoint_half, expression_half, rival), force_accept)
    decision = decision.model_copy(update={"metrics": flat_metrics(keypoint_half, expression_half)})
    labels = expression.info.labels
    test = expression_half.test
    matrix = metrics.confusion(test.predicted, test.truth, len(labels))
    result = Evaluation(decision.outcome == "accepted", list(labels), matrix.tolist())
    with remove_on_failure(report_path, metrics_path, confusion_path, gate_report_path):
        write_report(report_path, decision, keypoint_half, expression_half)
        _write_json(metrics_path, decision.metrics)
        # Without a file at its path the step would never be taken from the local cache.
        _write_json(confusion_path, {"labels": result.labels, "matrix": result.confusion})
        _write_json(gate_report_path, decision.model_dump(mode="json"))
    return result


def _open(path: str, kind: str) -> Faces:
    faces = Faces(path)
    if faces.info.kind != kind:
        raise InputError(f"{path}: holds {faces.info.kind}; expected {kind}")
    for split in (TRAIN, TEST):
        if not len(faces.positions(split)):
            name = faces.info.split_names[split]
            raise InputError(f"{path}: no face is in {name}; prepare must split the faces first")
    return faces


def _question(
    keypoints: ModelEvaluation, expression: ModelEvaluation, rival: ChampionAnswers | None
) -> GateInputs:
    emotions = expression.faces.info.labels
    scores = _prefixed(keypoints.scores[TEST], expression.scores[TEST])
    baselines = {
        "expression/accuracy": scores["expression/baseline_accuracy"],
        "keypoints/rmse_px": scores.get("keypoints/baseline_rmse_px"),
    }
    champion = None
    if rival:
        theirs = _prefixed(keypoints.champion_scores, expression.champion_scores)
        champion = rival.version, PairScores(theirs, rival.emotions)
    return GateInputs(
        candidate=PairScores(scores, emotions),
        baselines={score: value for score, value in baselines.items() if value is not None},
        splits={"keypoints": keypoints.test.name, "expression": expression.test.name},
        champion=champion,
    )


def _prefixed(keypoints: Mapping[str, float], expression: Mapping[str, float]) -> dict[str, float]:
    return {f"keypoints/{name}": value for name, value in keypoints.items()} | {
        f"expression/{name}": value for name, value in expression.items()
    }


def _write_json(path: str, content: object) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    storage.write_bytes(path, text.encode() + b"\n")
