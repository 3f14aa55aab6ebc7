"""Score the groups of faces that a source names, and measure their gaps to the rest."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.groups import FaceGroups, read_groups
from emotion_ai.steps.evaluate.bootstrap import number_people
from emotion_ai.steps.evaluate.face_errors import FaceErrors, measure_gap, point_errors, wrong_share
from emotion_ai.steps.evaluate.metrics import Scores, finite_rows
from emotion_ai.steps.evaluate.results import ModelEvaluation, Slice

# A group, or the rest, with fewer faces or people tells chance.
MIN_FACES, MIN_PEOPLE = 30, 10


def with_slices(model: ModelEvaluation) -> ModelEvaluation:
    """Add the groups of the test split, if the source names any, and their scores.

    Args:
        model: A model's evaluation.
    """
    groups = read_groups(model.faces.path)
    test = model.test
    if groups is None or not len(test.row) or not finite_rows(test.predicted).all():
        return model
    if model.is_expression:
        errors = wrong_share(test.predicted.argmax(axis=1), test.truth)
    else:
        errors = point_errors(test.predicted, test.truth)
    slices = tuple(_slices(groups, test.row, test.subject, errors))
    train, validation, scores = model.scores
    return replace(
        model, slices=slices, scores=(train, validation, {**scores, **_slice_scores(model, slices)})
    )


def _slices(
    groups: FaceGroups, row: NDArray[np.int64], subject: NDArray[np.int64], errors: FaceErrors
) -> Iterator[Slice]:
    codes, person = groups.of_rows(row), number_people(subject)
    for k, (column, names) in enumerate(groups.names.items()):
        for code, name in enumerate(names):
            is_in = codes[:, k] == code
            people = len(np.unique(person[is_in]))
            if _is_enough(is_in, person) and _is_enough(~is_in, person):
                own, rest = errors.of(is_in), errors.of(~is_in)
                gap = measure_gap(own, rest, subject)
                yield Slice(column, name, int(is_in.sum()), people, own.value(), rest.value(), gap)
            else:
                yield Slice(column, name, int(is_in.sum()), people)


def _is_enough(chosen: NDArray[np.bool_], person: NDArray[np.int64]) -> bool:
    return chosen.sum() >= MIN_FACES and len(np.unique(person[chosen])) >= MIN_PEOPLE


def _slice_scores(model: ModelEvaluation, slices: tuple[Slice, ...]) -> Scores:
    scores: Scores = {}
    for each in slices:
        if each.gap is None or each.error is None or not np.isfinite(each.gap).all():
            continue
        group = f"{each.column}/{each.name}"
        if model.is_expression:
            scores[f"group_accuracy/{group}"] = 1 - each.error
            scores[f"group_accuracy_gap/{group}"] = each.gap.value
        else:
            scores[f"group_rmse_px/{group}"] = each.error
            scores[f"group_rmse_gap_px/{group}"] = each.gap.value
    return scores
