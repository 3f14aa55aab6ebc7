"""The sections about keypoints in the evaluation report."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.html_page import Section, figure_html
from emotion_ai.steps.evaluate import figures, metrics
from emotion_ai.steps.evaluate.results import ModelEvaluation, SplitPredictions
from emotion_ai.steps.evaluate.score_table import score_table

_WORST_FACES = 12
# Faces that the mean image is averaged from.
_MAX_MEAN_ROWS = 1000

_COLUMNS = (
    ("rmse_px", "RMSE (95 % interval)"),
    ("nme", "mean error over eye distance"),
    ("share_under_5_percent_nme", "faces under 5 % of it"),
    ("baseline_rmse_px", "mean face of the training split"),
    ("annotation_bias_px", "annotations too far right by"),
)


def keypoint_sections(model: ModelEvaluation) -> Iterator[Section]:
    """Build the sections: scores of every split, then plots and the worst faces of test."""
    test = model.test
    yield Section("Keypoints on every split", score_table(model, _COLUMNS))
    finite = metrics.finite_rows(test.predicted)
    if not finite.any():
        yield Section(
            "Keypoints",
            f"No face of {test.name} got a usable answer: there is nothing to draw.",
        )
        return
    scores = metrics.keypoint_scores(test.predicted[finite], test.truth[finite])
    mean_image = model.faces.take(test.position[:_MAX_MEAN_ROWS]).images.mean(axis=0)
    yield Section(
        f"Every keypoint ({test.name})",
        Markup("<p>A circle's radius is the keypoint's RMSE, drawn on the mean face.</p>")
        + figure_html(
            figures.keypoint_map_figure(mean_image, metrics.mean_face(test.truth), scores),
            "RMSE of every keypoint: "
            + ", ".join(f"{name} {scores.get(f'rmse_px/{name}', np.nan):.2f}" for name in NAMES),
        ),
    )
    errors = _normalised_errors(model)
    yield Section(
        f"Distribution of the errors ({test.name})",
        figure_html(
            figures.cumulative_figure(errors), f"share of faces under an error: {', '.join(errors)}"
        ),
    )
    yield Section(f"The worst faces ({test.name})", _worst_faces(model))


def _normalised_errors(model: ModelEvaluation) -> dict[str, NDArray[np.float64]]:
    test = model.test
    predictions = {"candidate": test.predicted}
    if model.champion is not None:
        predictions["champion"] = model.champion
    predictions["mean face of the training split"] = np.broadcast_to(
        model.baseline, test.truth.shape
    )
    return {
        name: metrics.normalised_errors(points, test.truth) for name, points in predictions.items()
    }


def _worst_faces(model: ModelEvaluation) -> Markup:
    test = model.test
    errors = _face_errors(test)
    worst = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")[:_WORST_FACES]
    captions = [f"row {test.row[k]}\n{_format_error(errors[k])}" for k in worst]
    images = model.faces.take(test.position[worst]).images
    marks = [(test.truth[k], test.predicted[k]) for k in worst]
    return Markup(
        "<p>Circles are annotated, crosses predicted, {}. Rows are those of {}, counted from 0.</p>"
    ).format(
        f"errors in pixels of the {FRAME}x{FRAME} frame", model.faces.info.source
    ) + figure_html(figures.faces_figure(images, captions, marks), "; ".join(captions))


def _face_errors(test: SplitPredictions) -> NDArray[np.float64]:
    """Compute each face's RMSE in pixels; infinite for a prediction that is not finite."""
    squares = (test.predicted.astype(np.float64) - test.truth) ** 2
    known = np.isfinite(test.truth)
    total = np.where(known, squares, 0.0).sum(axis=(1, 2))
    errors = np.sqrt(total / np.maximum(known.sum(axis=(1, 2)), 1))
    return np.where(metrics.finite_rows(test.predicted), errors, np.inf)


def _format_error(error: float) -> str:
    return f"RMSE {error:.1f} px" if np.isfinite(error) else "no usable answer"
