"""Both models scored on every split, beside their baselines and the champion."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST, TRAIN, Faces
from emotion_ai.steps.evaluate import metrics
from emotion_ai.steps.evaluate.champion import ChampionAnswers
from emotion_ai.steps.evaluate.metrics import Scores
from emotion_ai.steps.evaluate.results import (
    ModelEvaluation,
    Predict,
    SplitPredictions,
    predict_rows,
    predict_splits,
)


def score_keypoints(
    faces: Faces, predict: Predict, champion: ChampionAnswers | None
) -> ModelEvaluation:
    """Score a keypoint model; the baseline answers the mean face of train to every face."""
    splits = predict_splits(faces, predict)
    baseline = metrics.mean_face(faces.column("targets")[faces.positions(TRAIN)])

    def scores(split: SplitPredictions) -> Scores:
        constant = np.broadcast_to(baseline, split.truth.shape)
        return {
            **metrics.keypoint_scores(split.predicted, split.truth),
            **metrics.keypoint_intervals(split.predicted, split.truth, split.subject),
            **_baseline(metrics.keypoint_scores(constant, split.truth), "rmse_px"),
            "rows_in_split": float(split.rows_in_split),
        }

    test = splits[TEST]
    mirrored = predict_rows(faces, test.position, lambda images: predict(images[:, :, ::-1]))
    bias = metrics.annotation_bias(test.predicted, mirrored, test.truth)
    return ModelEvaluation(
        faces=faces,
        splits=splits,
        scores=(scores(splits[0]), scores(splits[1]), scores(test) | bias),
        baseline=baseline,
        champion=champion.keypoints if champion else None,
        champion_scores=_keypoints_of(champion, test.truth),
    )


def score_expression(
    faces: Faces, predict: Predict, champion: ChampionAnswers | None
) -> ModelEvaluation:
    """Score an expression model; the baseline answers train's most frequent emotion to all."""
    labels = faces.info.labels
    splits = predict_splits(faces, predict)
    baseline = metrics.majority_class(faces.column("targets")[faces.positions(TRAIN)])

    def scores(split: SplitPredictions) -> Scores:
        constant = np.eye(len(labels))[np.full(len(split.truth), baseline)]
        return {
            **metrics.expression_scores(split.predicted, split.truth, labels),
            **metrics.expression_intervals(split.predicted, split.truth, split.subject),
            **_baseline(metrics.expression_scores(constant, split.truth, labels), "accuracy"),
            "rows_in_split": float(split.rows_in_split),
        }

    theirs = champion.probabilities if champion else None
    return ModelEvaluation(
        faces=faces,
        splits=splits,
        scores=(scores(splits[0]), scores(splits[1]), scores(splits[2])),
        baseline=baseline,
        champion=theirs,
        champion_scores={}
        if theirs is None
        else metrics.expression_scores(theirs, splits[TEST].truth, labels),
    )


def flat_metrics(keypoints: ModelEvaluation, expression: ModelEvaluation) -> Scores:
    """Every score of the candidate under <half>/<split's own name>/<score>."""
    return dict(_named("keypoints", keypoints)) | dict(_named("expression", expression))


def _named(name: str, half: ModelEvaluation) -> Iterator[tuple[str, float]]:
    for split, scores in zip(half.splits, half.scores, strict=True):
        for score, value in scores.items():
            yield f"{name}/{split.name}/{score}", value


def _keypoints_of(champion: ChampionAnswers | None, truth: NDArray) -> Scores:
    return metrics.keypoint_scores(champion.keypoints, truth) if champion else {}


def _baseline(scores: Scores, name: str) -> Scores:
    return {f"baseline_{name}": scores[name]} if name in scores else {}
