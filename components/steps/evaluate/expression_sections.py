"""The sections about expressions in the evaluation report."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST
from emotion_ai.faces.corruptions import CORRUPTIONS, SEVERITIES
from emotion_ai.faces.file_names import pick_file_names
from emotion_ai.html_page import Section, figure_html
from emotion_ai.steps.evaluate import figures, metrics
from emotion_ai.steps.evaluate.results import ModelEvaluation, Robustness
from emotion_ai.steps.evaluate.score_table import format_score, score_table

_WORST_FACES = 12
_MAX_CAPTION_LETTERS = 24


def expression_sections(model: ModelEvaluation) -> Iterator[Section]:
    """Build the sections: scores of every split, then plots and the worst faces of test."""
    test, labels = model.test, model.faces.info.labels
    baseline = labels[int(model.baseline)]
    columns = (
        ("accuracy", "accuracy (95 % interval)"),
        ("balanced_accuracy", "balanced accuracy"),
        ("macro_f1", "macro F1"),
        ("calibration_error", "calibration error"),
        ("baseline_accuracy", f"always {baseline}"),
    )
    yield Section("Expressions on every split", score_table(model, columns))
    finite = metrics.finite_rows(test.predicted)
    if not finite.any():
        yield Section(
            "Expressions",
            f"No face of {test.name} got a usable answer: there is nothing to draw.",
        )
        return
    matrix = metrics.confusion(test.predicted, test.truth, len(labels))
    yield Section(
        f"Confusion matrix ({test.name})",
        figure_html(
            figures.confusion_figure(matrix, labels),
            f"confusion matrix of {', '.join(labels)}; rows are the truth",
        ),
    )
    yield Section(
        f"Every emotion ({test.name})",
        figure_html(
            figures.class_figure(model.scores[TEST], model.champion_scores, labels),
            "precision and recall of every emotion",
        ),
    )
    reliability = metrics.reliability(test.predicted[finite], test.truth[finite])
    yield Section(
        f"Calibration ({test.name})",
        Markup("<p>Bars below the line: too confident. Bars above it: not confident enough.</p>")
        + figure_html(
            figures.reliability_figure(reliability), "accuracy against confidence, in 15 bins"
        ),
    )
    if model.robustness is not None:
        yield Section(f"Corrupted faces ({test.name})", _corrupted_faces(model.robustness))
    yield Section(f"Most confident errors ({test.name})", _worst_faces(model))


def _corrupted_faces(found: Robustness) -> Markup:
    names = [name.replace("_", " ") for name in CORRUPTIONS]
    kept = format_score(found.scores().get("robustness"), "%")
    text = Markup(
        "<p>{} faces, each with {} corruptions in {} severities: {} of the accuracy is kept on "
        "average; without any it is {} on them. Below, one face under each at severity 3.</p>"
    ).format(found.faces, len(names), SEVERITIES, kept, format_score(found.clean, "%"))
    return (
        text
        + figure_html(
            figures.robustness_figure(found.accuracy, names),
            "accuracy under every corruption and severity",
        )
        + figure_html(
            figures.faces_figure(found.examples, names), f"one face under {', '.join(names)}"
        )
    )


def _worst_faces(model: ModelEvaluation) -> str:
    test, labels = model.test, model.faces.info.labels
    predicted = test.predicted.argmax(axis=1)
    wrong = np.flatnonzero((predicted != test.truth) & metrics.finite_rows(test.predicted))
    if not len(wrong):
        return f"Every face of {test.name} got the right answer."
    confidence = test.predicted.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_WORST_FACES]
    rows = test.row[worst].tolist()
    files = pick_file_names(model.faces.path, rows)
    names = [files.get(row, f"row {row}") for row in rows]
    errors = [
        f"true {labels[test.truth[k]]},\npredicted {labels[predicted[k]]} {confidence[k]:.0%}"
        for k in worst
    ]
    captions = [f"{_shorten(name)}\n{text}" for name, text in zip(names, errors, strict=True)]
    alt = "; ".join(f"{name}\n{text}" for name, text in zip(names, errors, strict=True))
    images: NDArray = model.faces.take(test.position[worst]).images
    return _row_legend(model.faces.info.source, names if files else ()) + figure_html(
        figures.faces_figure(images, captions), alt
    )


def _shorten(name: str) -> str:
    """Return a file's name without its folders, cut to what fits over a face."""
    name = name.rpartition("/")[2]
    return name if len(name) <= _MAX_CAPTION_LETTERS else f"...{name[3 - _MAX_CAPTION_LETTERS :]}"


def _row_legend(source: str, files: Sequence[str]) -> Markup:
    if not files:
        return Markup("<p>Rows are those of {}, counted from 0.</p>").format(source)
    return Markup("<p>Files in {}, line by line: {}.</p>").format(source, ", ".join(files))
