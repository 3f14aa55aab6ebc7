"""The part of the report that is about keypoints."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.html_page import Section, figure_html
from emotion_ai.steps.evaluate import figures, metrics
from emotion_ai.steps.evaluate.results import ModelEvaluation, SplitPredictions
from emotion_ai.steps.evaluate.score_table import score_table

WORST_FACES = 12
# Faces that the picture of the mean face is averaged from.
_MEAN_ROWS = 1000

_COLUMNS = (
    ("rmse_px", "RMSE (95 % interval)"),
    ("nme", "mean error over eye distance"),
    ("share_under_5_percent_nme", "faces under 5 % of it"),
    ("baseline_rmse_px", "mean face of train"),
    ("annotation_bias_px", "annotations stand right by"),
)


def keypoint_sections(half: ModelEvaluation) -> Iterator[Section]:
    """Scores of every split; errors by keypoint, their distribution and the worst faces of test."""
    test = half.test
    yield Section("Keypoints on every split", score_table(half, _COLUMNS))
    fine = metrics.finite_rows(test.predicted)
    if not fine.any():
        yield Section(
            "Keypoints",
            f"No face of {test.name} got a usable answer: there is nothing to draw.",
        )
        return
    scores = metrics.keypoint_scores(test.predicted[fine], test.truth[fine])
    mean_image = half.faces.take(test.position[:_MEAN_ROWS]).images.mean(axis=0)
    yield Section(
        f"Every keypoint ({test.name})",
        Markup("<p>A circle's radius is the keypoint's RMSE, drawn on the mean face.</p>")
        + figure_html(
            figures.keypoint_map_figure(mean_image, metrics.mean_face(test.truth), scores),
            "RMSE of every keypoint: "
            + ", ".join(f"{name} {scores.get(f'rmse_px/{name}', np.nan):.2f}" for name in NAMES),
        ),
    )
    yield Section(
        f"How many faces are found how well ({test.name})",
        figure_html(
            figures.cumulative_figure(_errors(half)),
            "share of faces under an error, for the candidate and those it is compared with",
        ),
    )
    yield Section(f"The worst faces ({test.name})", _worst(half))


def _errors(half: ModelEvaluation) -> dict[str, NDArray[np.float64]]:
    test = half.test
    curves = {"candidate": test.predicted}
    if half.champion is not None:
        curves["champion"] = half.champion
    curves["mean face of train"] = np.broadcast_to(half.baseline, test.truth.shape)
    return {name: metrics.normalised_errors(points, test.truth) for name, points in curves.items()}


def _worst(half: ModelEvaluation) -> Markup:
    test = half.test
    errors = _face_errors(test)
    worst = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[:WORST_FACES]
    captions = [f"row {test.row[k]}\n{_pixels(errors[k])}" for k in worst]
    images = half.faces.take(test.position[worst]).images
    marks = [(test.truth[k], test.predicted[k]) for k in worst]
    return Markup(
        "<p>Circles are the annotation, crosses the answer, {}. Rows are those of {}, counted "
        "from 0.</p>"
    ).format(
        f"errors in pixels of the {FRAME}x{FRAME} frame", half.faces.info.source
    ) + figure_html(figures.faces_figure(images, captions, marks), "; ".join(captions))


def _face_errors(test: SplitPredictions) -> NDArray[np.float64]:
    """RMSE of each face in pixels; infinite where the answer is not finite."""
    squares = (test.predicted.astype(np.float64) - test.truth) ** 2
    known = np.isfinite(test.truth)
    total = np.where(known, squares, 0.0).sum(axis=(1, 2))
    errors = np.sqrt(total / np.maximum(known.sum(axis=(1, 2)), 1))
    return np.where(metrics.finite_rows(test.predicted), errors, np.inf)


def _pixels(error: float) -> str:
    return f"RMSE {error:.1f} px" if np.isfinite(error) else "no finite_rows answer"
