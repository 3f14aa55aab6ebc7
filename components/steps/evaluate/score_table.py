"""The table of a model's scores: a row for every split, and one for the champion."""

from collections.abc import Sequence

from markupsafe import Markup

from emotion_ai.html_page import table_html
from emotion_ai.steps.evaluate.metric_text import Unit, format_value
from emotion_ai.steps.evaluate.metrics import Scores
from emotion_ai.steps.evaluate.results import ModelEvaluation

_NOT_MEASURED = "-"


def format_score(value: float | None, unit: Unit) -> str:
    """Format a score, such as "61.2 %" or "2.31 px"; "-" if it could not be measured."""
    return _NOT_MEASURED if value is None else format_value(value, unit)


def score_table(model: ModelEvaluation, columns: Sequence[tuple[str, str]]) -> Markup:
    """Build the HTML table of a model's scores on every split.

    Args:
        model: The candidate's evaluation.
        columns: The scores to show as (name, heading). Names that end in "_px" are in pixels; a
            score with a confidence interval is followed by it.
    """
    rows = [
        (split.title, len(split.row), scores)
        for split, scores in zip(model.splits, model.scores, strict=True)
    ]
    if model.champion_scores:
        rows.append((f"champion on {model.test.name}", len(model.test.row), model.champion_scores))
    return table_html(
        ("split", "faces", *(heading for _, heading in columns)),
        [
            (title, f"{count:,}", *(_cell(scores, name) for name, _ in columns))
            for title, count, scores in rows
        ],
    )


def _cell(scores: Scores, name: str) -> str:
    unit: Unit = "px" if name.endswith("_px") else "%"
    text = format_score(scores.get(name), unit)
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    if low is None or high is None:
        return text
    low_text, high_text = (format_value(bound, unit).split()[0] for bound in (low, high))
    # No-break spaces, or the interval wraps onto a second line.
    return f"{text} ({low_text} to {high_text})".replace(" ", "\N{NO-BREAK SPACE}")
