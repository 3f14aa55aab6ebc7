"""The part of the report that is about expressions."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from components.evaluate import figures, metrics
from components.evaluate.results import Half
from components.evaluate.score_table import score_table
from components.faces.arrays import TEST
from components.page import Section, figure_html

WORST_FACES = 12


def expression_sections(half: Half) -> Iterator[Section]:
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
    fine = metrics.usable(test.predicted)
    if not fine.any():
        yield Section(
            "Expressions", f"No face of {test.name} got a usable answer: there is nothing to draw."
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


def _worst(half: Half) -> str:
    test, labels = half.test, half.faces.info.labels
    answer = test.predicted.argmax(axis=1)
    wrong = np.flatnonzero((answer != test.truth) & metrics.usable(test.predicted))
    if not len(wrong):
        return f"Every face of {test.name} got the right answer."
    confidence = test.predicted.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST_FACES]
    captions = [
        f"row {test.row[k]}\n{labels[test.truth[k]]}, said\n{labels[answer[k]]} {confidence[k]:.0%}"
        for k in worst
    ]
    images: NDArray = half.faces.take(test.position[worst]).images
    return Markup("<p>Rows are those of {}, counted from 0.</p>").format(
        half.faces.info.source
    ) + figure_html(figures.faces_figure(images, captions), "; ".join(captions))
