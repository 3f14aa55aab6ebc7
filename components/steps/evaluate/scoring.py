"""Score both models on every split, beside their baselines and the champion."""

from collections.abc import Iterator

import numpy as np

from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Faces
from emotion_ai.steps.evaluate import metrics
from emotion_ai.steps.evaluate.champion import ChampionPredictions
from emotion_ai.steps.evaluate.metrics import Scores
from emotion_ai.steps.evaluate.results import (
    ModelEvaluation,
    Predict,
    SplitPredictions,
    predict_rows,
    predict_splits,
)


def score_keypoints(
    faces: Faces, predict: Predict, champion: ChampionPredictions | None
) -> ModelEvaluation:
    """Score a keypoint model; the baseline predicts the training split's mean face.

    Args:
        faces: Prepared faces with keypoints.
        predict: Runs the model, from uint8 [n, 96, 96] to keypoints [n, 15, 2].
        champion: The champion's predictions; None if there is no champion.
    """
    splits = predict_splits(faces, predict)
    baseline = metrics.mean_face(faces.column("targets")[faces.positions(TRAIN)])

    def score(split: SplitPredictions) -> Scores:
        constant = np.broadcast_to(baseline, split.truth.shape)
        return {
            **metrics.keypoint_scores(split.predicted, split.truth),
            **metrics.keypoint_intervals(split.predicted, split.truth, split.subject),
            **_baseline_score(metrics.keypoint_scores(constant, split.truth), "rmse_px"),
            "rows_in_split": float(split.rows_in_split),
        }

    test = splits[TEST]
    mirrored = predict_rows(faces, test.position, lambda images: predict(images[:, :, ::-1]))
    bias = metrics.annotation_bias(test.predicted, mirrored, test.truth)
    return ModelEvaluation(
        faces=faces,
        splits=splits,
        scores=(score(splits[TRAIN]), score(splits[VALIDATION]), score(test) | bias),
        baseline=baseline,
        champion=champion.keypoints if champion else None,
        champion_scores=metrics.keypoint_scores(champion.keypoints, test.truth) if champion else {},
    )


def score_expression(
    faces: Faces, predict: Predict, champion: ChampionPredictions | None
) -> ModelEvaluation:
    """Score an expression model; the baseline predicts train's most frequent emotion.

    Args:
        faces: Prepared faces with emotions.
        predict: Runs the model, from uint8 [n, 48, 48] to probabilities [n, k].
        champion: The champion's predictions; None if there is no champion.
    """
    labels = faces.info.labels
    splits = predict_splits(faces, predict)
    baseline = metrics.majority_class(faces.column("targets")[faces.positions(TRAIN)])

    def score(split: SplitPredictions) -> Scores:
        constant = np.eye(len(labels))[np.full(len(split.truth), baseline)]
        return {
            **metrics.expression_scores(split.predicted, split.truth, labels),
            **metrics.expression_intervals(split.predicted, split.truth, split.subject),
            **_baseline_score(metrics.expression_scores(constant, split.truth, labels), "accuracy"),
            "rows_in_split": float(split.rows_in_split),
        }

    champion_probabilities = champion.probabilities if champion else None
    return ModelEvaluation(
        faces=faces,
        splits=splits,
        scores=(score(splits[TRAIN]), score(splits[VALIDATION]), score(splits[TEST])),
        baseline=baseline,
        champion=champion_probabilities,
        champion_scores={}
        if champion_probabilities is None
        else metrics.expression_scores(champion_probabilities, splits[TEST].truth, labels),
    )


def flat_metrics(keypoints: ModelEvaluation, expression: ModelEvaluation) -> Scores:
    """Return every score of the candidate, named <kind>/<split's own name>/<score>."""
    return dict(_with_prefix("keypoints", keypoints)) | dict(_with_prefix("expression", expression))


def _with_prefix(kind: str, model: ModelEvaluation) -> Iterator[tuple[str, float]]:
    for split, scores in zip(model.splits, model.scores, strict=True):
        for score, value in scores.items():
            yield f"{kind}/{split.name}/{score}", value


def _baseline_score(scores: Scores, name: str) -> Scores:
    return {f"baseline_{name}": scores[name]} if name in scores else {}
