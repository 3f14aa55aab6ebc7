"""Evaluate a pair of models on every split, and decide whether it becomes a release."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TEST, TRAIN, Faces
from emotion_ai.registry.gate_settings import GateSettings
from emotion_ai.settings import validate_settings
from emotion_ai.steps.evaluate import metrics
from emotion_ai.steps.evaluate.champion import ChampionPredictions, predict_with_champion
from emotion_ai.steps.evaluate.drawn_faces import with_drawn_faces
from emotion_ai.steps.evaluate.gate import GateInputs, PairScores, decide
from emotion_ai.steps.evaluate.headlines import headlines
from emotion_ai.steps.evaluate.report import write_report
from emotion_ai.steps.evaluate.results import ModelEvaluation, Predict
from emotion_ai.steps.evaluate.robustness import with_robustness
from emotion_ai.steps.evaluate.scoring import flat_metrics, score_expression, score_keypoints
from emotion_ai.steps.evaluate.slices import with_slices
from emotion_ai.steps.evaluate.steadiness import with_steadiness
from emotion_ai.steps.evaluate.verdict import write_verdict
from emotion_ai.storage.atomic_files import remove_on_failure


class Evaluation(NamedTuple):
    """The gate's decision, and what KFP shows of the evaluation.

    Attributes:
        accepted: Whether the pair may become a release.
        labels: The emotions.
        confusion: Counts of faces on the test split, `confusion[true][predicted]`, in the order of
            `labels`.
        headlines: Numbers by plain names, see `headlines`.
    """

    accepted: bool
    labels: list[str]
    confusion: list[list[int]]
    headlines: dict[str, float]


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
    verdict_path: str,
    report_path: str,
) -> Evaluation:
    """Score a candidate pair of models on every split and let the gate decide.

    A bad model is a result, not an error.

    Args:
        keypoint_faces: Folder of prepared faces of kind "keypoints".
        expression_faces: Folder of prepared faces of kind "expression".
        keypoint_model: Folder of the trained keypoint network.
        expression_model: Folder of the trained expression network.
        registry: A local folder or a gs:// URI.
        champion: The champion's version; "" for none.
        gate: The fields of `GateSettings`.
        force_accept: The reason for accepting a pair that the gate rejects; "" to reject it.
        metrics_path: JSON file to write: values by <kind>/<split's own name>/<score>.
        confusion_path: JSON file to write: "labels" and "matrix", rows are the truth.
        gate_report_path: JSON file to write: a `GateReport`.
        verdict_path: Markdown file to write: the same for people.
        report_path: HTML page to write.

    Returns:
        The gate's decision and the numbers that KFP shows.

    Raises:
        InputError: The faces are of the wrong kind or not split, a setting of the gate is invalid,
            or there is no such champion.
        VerificationError: A file of the champion's release was altered.
        Unavailable: The registry failed, or an output cannot be written.
    """
    settings = validate_settings(GateSettings, gate, "gate")
    faces = _open_faces(keypoint_faces, "keypoints"), _open_faces(expression_faces, "expression")
    champion_predictions = predict_with_champion(registry, champion, *faces)
    models = keypoint_model, expression_model
    keypoints, expression = _score(faces, models, champion_predictions, settings)
    inputs = _gate_inputs(keypoints, expression, champion_predictions)
    decision = decide(settings, inputs, force_accept)
    decision = decision.model_copy(update={"metrics": flat_metrics(keypoints, expression)})
    labels, test = expression.faces.info.labels, expression.test
    matrix = metrics.confusion(test.predicted, test.truth, len(labels))
    result = Evaluation(
        accepted=decision.outcome == "accepted",
        labels=list(labels),
        confusion=matrix.tolist(),
        headlines=headlines(decision, keypoints, expression),
    )
    with remove_on_failure(
        report_path, metrics_path, confusion_path, gate_report_path, verdict_path
    ):
        write_report(report_path, decision, keypoints, expression)
        _write_json(metrics_path, decision.metrics)
        # The local cache reuses a step only if every output has a file at its path.
        _write_json(confusion_path, {"labels": result.labels, "matrix": result.confusion})
        _write_json(gate_report_path, decision.model_dump(mode="json"))
        write_verdict(verdict_path, decision)
    return result


def _score(
    faces: tuple[Faces, Faces],
    models: tuple[str, str],
    champion: ChampionPredictions | None,
    settings: GateSettings,
) -> tuple[ModelEvaluation, ModelEvaluation]:
    """Score the keypoint model and the expression model, each loaded once for many questions."""
    from emotion_ai.networks.inference import load_network, run_in_batches, softmax

    networks = load_network(models[0]), load_network(models[1])

    def predict_points(images: NDArray) -> NDArray:
        return run_in_batches(networks[0], images)

    def predict_emotions(images: NDArray) -> NDArray:
        return softmax(run_in_batches(networks[1], images))

    keypoints = score_keypoints(faces[0], predict_points, champion)
    expression = score_expression(faces[1], predict_emotions, champion)
    if settings.expression.robustness is not None:
        expression = with_robustness(expression, predict_emotions)
    return _with_probes(keypoints, predict_points), _with_probes(expression, predict_emotions)


def _open_faces(path: str, kind: str) -> Faces:
    faces = Faces(path)
    if faces.info.kind != kind:
        raise InputError(f"{path}: holds {faces.info.kind}; expected {kind}")
    for split in (TRAIN, TEST):
        if not len(faces.positions(split)):
            name = faces.info.split_names[split]
            raise InputError(f"{path}: no face is in {name}; prepare must split the faces first")
    return faces


def _with_probes(model: ModelEvaluation, predict: Predict) -> ModelEvaluation:
    """Add the groups of faces, drawn faces, and steadiness."""
    return with_steadiness(with_drawn_faces(with_slices(model), predict), predict)


def _gate_inputs(
    keypoints: ModelEvaluation, expression: ModelEvaluation, champion: ChampionPredictions | None
) -> GateInputs:
    candidate_scores = _with_prefixes(keypoints.scores[TEST], expression.scores[TEST])
    baselines = {
        "expression/accuracy": candidate_scores["expression/baseline_accuracy"],
        "keypoints/rmse_px": candidate_scores.get("keypoints/baseline_rmse_px"),
    }
    versioned_champion = None
    if champion:
        champion_scores = _with_prefixes(keypoints.champion_scores, expression.champion_scores)
        versioned_champion = champion.version, PairScores(champion_scores, champion.emotions)
    return GateInputs(
        candidate=PairScores(candidate_scores, expression.faces.info.labels),
        baselines={score: value for score, value in baselines.items() if value is not None},
        splits={"keypoints": keypoints.test.name, "expression": expression.test.name},
        champion=versioned_champion,
    )


def _with_prefixes(
    keypoints: Mapping[str, float], expression: Mapping[str, float]
) -> dict[str, float]:
    return {f"keypoints/{name}": value for name, value in keypoints.items()} | {
        f"expression/{name}": value for name, value in expression.items()
    }


def _write_json(path: str, content: object) -> None:
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    storage.write_bytes(path, text.encode() + b"\n")
