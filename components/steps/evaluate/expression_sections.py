"""The part of the report that is about expressions."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.faces.arrays import TEST
from emotion_ai.faces.file_names import pick_file_names
from emotion_ai.html_page import Section, figure_html
from emotion_ai.steps.evaluate import figures, metrics
from emotion_ai.steps.evaluate.results import ModelEvaluation
from emotion_ai.steps.evaluate.score_table import score_table

WORST_FACES = 12
_CAPTION_LETTERS = 24


def expression_sections(half: ModelEvaluation) -> Iterator[Section]:
    """Scores of every split; confusion, classes, calibration and the worst faces of test."""
    test, labels = half.test, half.faces.info.labels
    baseline = labels[int(half.baseline)]
    columns = (
        ("accuracy", "accuracy (95 % interval)"),
        ("balanced_accuracy", "balanced accuracy"),
        ("macro_f1", "macro F1"),
        ("calibration_error", "calibration error"),
        ("baseline_accuracy", f"always {baseline}"),
    )
    yield Section("Expressions on every split", score_table(half, columns))
    fine = metrics.finite_rows(test.predicted)
    if not fine.any():
        yield Section(
            "Expressions",
            f"No face of {test.name} got a usable answer: there is nothing to draw.",
        )
        return
    matrix = metrics.confusion(test.predicted, test.truth, len(labels))
    yield Section(
        f"Which emotion is taken for which ({test.name})",
        figure_html(
            figures.confusion_figure(matrix, labels),
            f"confusion matrix of {', '.join(labels)}; rows are the truth",
        ),
    )
    yield Section(
        f"Every emotion ({test.name})",
        figure_html(
            figures.class_figure(half.scores[TEST], half.champion_scores, labels),
            "precision and recall of every emotion",
        ),
    )
    yield Section(
        f"Is it as sure as it is right? ({test.name})",
        Markup("<p>Bars under the line: surer than right. Bars over it: too modest.</p>")
        + figure_html(
            figures.reliability_figure(metrics.reliability(test.predicted[fine], test.truth[fine])),
            "share of right answers against confidence, in 15 bins",
        ),
    )
    yield Section(f"Wrong and sure of it ({test.name})", _worst(half))


def _worst(half: ModelEvaluation) -> str:
    test, labels = half.test, half.faces.info.labels
    answer = test.predicted.argmax(axis=1)
    wrong = np.flatnonzero((answer != test.truth) & metrics.finite_rows(test.predicted))
    if not len(wrong):
        return f"Every face of {test.name} got the right answer."
    confidence = test.predicted.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST_FACES]
    rows = test.row[worst].tolist()
    files = pick_file_names(half.faces.path, rows)
    names = [files.get(row, f"row {row}") for row in rows]
    said = [
        f"{labels[test.truth[k]]}, said\n{labels[answer[k]]} {confidence[k]:.0%}" for k in worst
    ]
    captions = [f"{_short(name)}\n{words}" for name, words in zip(names, said, strict=True)]
    described = "; ".join(f"{name}\n{words}" for name, words in zip(names, said, strict=True))
    images: NDArray = half.faces.take(test.position[worst]).images
    return _origin(half.faces.info.source, names if files else ()) + figure_html(
        figures.faces_figure(images, captions), described
    )


def _short(name: str) -> str:
    """A file's name without its folders, cut to what fits over a face."""
    name = name.rpartition("/")[2]
    return name if len(name) <= _CAPTION_LETTERS else f"...{name[3 - _CAPTION_LETTERS :]}"


def _origin(source: str, files: Sequence[str]) -> Markup:
    if not files:
        return Markup("<p>Rows are those of {}, counted from 0.</p>").format(source)
    return Markup("<p>Files in {}, line by line: {}.</p>").format(source, ", ".join(files))
