"""The table of a model's scores: a line for every split, and one for the champion."""

from collections.abc import Sequence

from markupsafe import Markup

from emotion_ai.html_page import table_html
from emotion_ai.steps.evaluate.metric_text import number
from emotion_ai.steps.evaluate.metrics import Scores
from emotion_ai.steps.evaluate.results import ModelEvaluation

UNKNOWN = "-"


def share(value: float | None) -> str:
    """ "61.2 %", or a dash for what could not be measured."""
    return UNKNOWN if value is None else number(value, in_pixels=False)


def pixels(value: float | None) -> str:
    """ "2.31 px", or a dash for what could not be measured."""
    return UNKNOWN if value is None else number(value, in_pixels=True)


def score_table(half: ModelEvaluation, columns: Sequence[tuple[str, str]]) -> Markup:
    """The scores in `columns` (name, heading) of the candidate on every split.

    Scores in pixels are those named so; one with an interval is followed by it.
    """
    lines = [
        (split.title, len(split.row), scores)
        for split, scores in zip(half.splits, half.scores, strict=True)
    ]
    if half.champion_scores:
        lines.append((f"champion on {half.test.name}", len(half.test.row), half.champion_scores))
    return table_html(
        ("split", "faces", *(heading for _, heading in columns)),
        [
            (title, f"{count:,}", *(_cell(scores, name) for name, _ in columns))
            for title, count, scores in lines
        ],
    )


def _cell(scores: Scores, name: str) -> str:
    shown = pixels if name.endswith("_px") else share
    text = shown(scores.get(name))
    low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
    if low is None or high is None:
        return text
    # Unbroken, or the interval wraps into a second line.
    return f"{text} ({shown(low).split()[0]} to {shown(high).split()[0]})".replace(
        " ", "\N{NO-BREAK SPACE}"
    )
