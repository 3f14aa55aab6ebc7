"""Ask both networks about drawn faces, each in several tones, with signs of age, and with glasses.

All that is drawn is known: the keypoints exactly, and the expression. The variants of a face differ
in one thing alone, which no set of photographs can offer. Drawn faces are not people: what is found
here says where to look, and what is not found says nothing of people.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.labels import SAMPLE_LABEL_SET, label_set_names, words_like
from emotion_ai.sample.anatomy import Anatomy, draw_anatomy, keypoints_in_pixels
from emotion_ai.sample.drawing import halve
from emotion_ai.sample.painting import paint_faces
from emotion_ai.steps.evaluate.face_errors import measure_gap, point_errors, wrong_share
from emotion_ai.steps.evaluate.metrics import finite_rows
from emotion_ai.steps.evaluate.results import DrawnVariant, ModelEvaluation, Predict

# The others (anger, disgust, fear, a face at rest) are told from real faces by more than is drawn.
DRAWN_EMOTIONS = ("happy", "sad", "surprise")
_FACES_EACH = 14
# The gray of the skin in full light. The middle ones are the usual ones of photographs.
_TONES = {"tone 205": 205, "tone 165": 165, "tone 125": 125, "tone 90": 90, "tone 55": 55}
REFERENCE = "tone 165"
_SEED = 5
_BATCH = 7


class DrawnSet(NamedTuple):
    """The drawn faces.

    Attributes:
        images: uint8 [n, 96, 96] by variant, the same n faces in each.
        keypoints: float64 [n, 15, 2] in pixels, the same in all variants.
        emotions: What the n faces show, positions in `DRAWN_EMOTIONS`.
    """

    images: dict[str, NDArray[np.uint8]]
    keypoints: NDArray[np.float64]
    emotions: NDArray[np.int64]


@cache
def draw_variants() -> DrawnSet:
    """Draw the faces, the same every time."""
    emotions = np.tile(np.arange(len(DRAWN_EMOTIONS)), _FACES_EACH)
    names = label_set_names(SAMPLE_LABEL_SET)
    codes = np.array([names.index(name) for name in DRAWN_EMOTIONS], np.uint8)[emotions]
    anatomy = draw_anatomy(np.random.default_rng(_SEED), codes)
    variants = {name: _variant(anatomy, tone) for name, tone in _TONES.items()}
    reference = variants[REFERENCE]
    variants["signs of age"] = _with_age(reference)
    variants["glasses"] = reference._replace(
        extras=reference.extras | {"glasses": np.full(len(codes), 0.9)}
    )
    images = {name: _paint(variant) for name, variant in variants.items()}
    return DrawnSet(images, keypoints_in_pixels(anatomy), emotions)


def _variant(anatomy: Anatomy, tone: float) -> Anatomy:
    """The same faces in one tone of skin, young, without beard and glasses."""
    ones = np.ones(len(anatomy.points))
    skin = anatomy.skin | {"tone": tone * ones, "beard": 0 * ones, "age": 0.15 * ones}
    return anatomy._replace(skin=skin, extras=anatomy.extras | {"glasses": 0 * ones})


def _with_age(anatomy: Anatomy) -> Anatomy:
    """The same faces with gray hair, and lines across the forehead and beside the nose."""
    movement, ones = anatomy.movement, np.ones(len(anatomy.points))
    lines = {name: np.maximum(movement[name], 0.75) for name in ("forehead", "fold")}
    return anatomy._replace(
        movement=movement | lines,
        hair=anatomy.hair | {"tone": 175 * ones},
        skin=anatomy.skin | {"age": ones},
    )


def _paint(anatomy: Anatomy) -> NDArray[np.uint8]:
    # The camera's noise and the strands of hair are the same in each variant.
    starts = range(0, len(anatomy.points), _BATCH)
    return np.concatenate(
        [
            paint_faces(anatomy.take(slice(start, start + _BATCH)), np.random.default_rng(start))
            for start in starts
        ]
    )


def with_drawn_faces(model: ModelEvaluation, predict: Predict) -> ModelEvaluation:
    """Add what a model makes of the drawn faces, and the scores.

    Args:
        model: The model's evaluation.
        predict: Runs the model, from uint8 [n, H, H] to predictions [n, ...].
    """
    variants = measure_drawn(predict, model.faces.info.labels)
    name = "drawn_accuracy" if model.is_expression else "drawn_rmse_px"
    found = {
        f"{name}/{each.name.replace(' ', '_')}": 1 - each.error
        if model.is_expression
        else each.error
        for each in variants
    }
    train, validation, scores = model.scores
    return replace(model, drawn=variants, scores=(train, validation, {**scores, **found}))


def measure_drawn(predict: Predict, labels: tuple[str, ...]) -> tuple[DrawnVariant, ...]:
    """Measure what a network makes of the drawn faces.

    Args:
        predict: Runs it, from uint8 [n, H, H] to predictions [n, ...].
        labels: Its emotions; none for a network of keypoints.

    Returns:
        The variants; none if its answers are not finite, or if it knows too few of the emotions.
    """
    measure = _measure_emotions(labels) if labels else _measure_points
    if measure is None:
        return ()
    drawn = draw_variants()
    images = np.concatenate(list(drawn.images.values()))
    predicted = predict(halve(images) if labels else images)
    if not finite_rows(predicted).all():
        return ()
    by_variant = dict(zip(drawn.images, np.split(predicted, len(drawn.images)), strict=True))
    return tuple(
        measure(drawn, name, answers, by_variant[REFERENCE]) for name, answers in by_variant.items()
    )


_Measure = Callable[[DrawnSet, str, NDArray, NDArray], DrawnVariant]


def _measure_points(
    drawn: DrawnSet, name: str, points: NDArray, reference: NDArray
) -> DrawnVariant:
    errors, others = (point_errors(found, drawn.keypoints) for found in (points, reference))
    gap = measure_gap(errors, others, np.full(len(points), -1))
    return DrawnVariant(name, errors.value(), gap, point_errors(points, reference).value())


def _measure_emotions(labels: tuple[str, ...]) -> _Measure | None:
    """Return what measures a network of these emotions; None if it knows too few of the drawn."""
    code_of = {
        drawn: code
        for drawn, name in enumerate(DRAWN_EMOTIONS)
        for code, label in enumerate(labels)
        if label in words_like(name)
    }
    if len(code_of) < 2:
        return None
    known, codes = np.array(list(code_of)), list(code_of.values())

    def measure(
        drawn: DrawnSet, name: str, probabilities: NDArray, reference: NDArray
    ) -> DrawnVariant:
        errors, others = (
            wrong_share(known[found[:, codes].argmax(axis=1)], drawn.emotions).of(
                np.isin(drawn.emotions, known)
            )
            for found in (probabilities, reference)
        )
        changed = wrong_share(probabilities.argmax(axis=1), reference.argmax(axis=1))
        gap = measure_gap(errors, others, np.full(len(probabilities), -1))
        return DrawnVariant(name, errors.value(), gap, changed.value())

    return measure
