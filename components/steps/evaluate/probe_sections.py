"""The sections about groups of faces, drawn faces and steadiness in the evaluation report."""

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from emotion_ai.html_page import Section, image_html, table_html
from emotion_ai.steps.evaluate.drawn_faces import DRAWN_EMOTIONS, REFERENCE, draw_variants
from emotion_ai.steps.evaluate.face_errors import Interval
from emotion_ai.steps.evaluate.metric_text import Unit, format_value
from emotion_ai.steps.evaluate.results import DrawnVariant, ModelEvaluation, Slice
from emotion_ai.steps.evaluate.slices import MIN_FACES, MIN_PEOPLE
from emotion_ai.steps.evaluate.steadiness import AVERAGED, LOOKS_PER_MINUTE

_EXAMPLES = 6


def group_sections(model: ModelEvaluation) -> Iterator[Section]:
    """Build the section of the groups that the source names; none without any."""
    if not model.slices:
        return
    noun, score = ("Expressions", "accuracy") if model.is_expression else ("Keypoints", "RMSE")
    text = Markup(
        "<p>Of groups as the source names them; the rest are all other faces of {}. A gap above 0 "
        "is to the group's disadvantage. Coloured is one whose 95 % interval (a bootstrap over "
        "people) leaves out 0, as one of twenty does by chance. Too few are under {} faces or {} "
        "people, in the group or in the rest; a face of nobody known counts as a person.</p>"
    ).format(model.test.name, MIN_FACES, MIN_PEOPLE)
    columns = ("", "group", "faces", "people", score, f"{score} of the rest", "gap (95 % interval)")
    rows = [_slice_cells(each, model) for each in model.slices]
    yield Section(f"{noun} by group ({model.test.name})", text + table_html(columns, rows))


def _slice_cells(each: Slice, model: ModelEvaluation) -> Sequence[str]:
    counts = (each.column, each.name, f"{each.faces:,}", f"{each.people:,}")
    if each.gap is None or each.error is None or each.rest is None:
        return (*counts, "too few", "", "")
    errors = (each.error, each.rest)
    shown = [1 - error for error in errors] if model.is_expression else errors
    unit = _unit(model)
    return (*counts, *(format_value(value, unit) for value in shown), _gap_cell(each.gap, unit))


def _unit(model: ModelEvaluation) -> Unit:
    return "%" if model.is_expression else "px"


def _gap_cell(gap: Interval, unit: Unit) -> str:
    text = _interval_text(gap, unit).replace("%", "points")
    if not gap.excludes_zero:
        return text
    return Markup('<span class="{}">{}</span>').format("bad" if gap.low > 0 else "good", text)


def _interval_text(interval: Interval, unit: Unit) -> str:
    value, low, high = (format_value(each, unit) for each in interval)
    text = f"{value} ({low.split()[0]} to {high.split()[0]})"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def drawn_section(keypoints: ModelEvaluation, expression: ModelEvaluation) -> Iterator[Section]:
    """Build the section of the drawn faces; none if neither model could be asked."""
    if not (keypoints.drawn or expression.drawn):
        return
    drawn = draw_variants()
    sheet = np.concatenate(
        [np.concatenate(list(images[:_EXAMPLES]), axis=1) for images in drawn.images.values()]
    )
    text = Markup(
        "<p>{} drawn faces, each in {} variants that differ in one thing alone: the gray of the "
        "skin ({} is what the others are compared with), signs of age (gray hair, lines), or "
        "glasses. The keypoints are known exactly, and so is which of {} is drawn; right is a "
        "network that finds it more probable than the other ones. A shift that it learnt from its "
        "annotations is in the RMSE of every variant. <b>Drawn faces are not people:</b> a "
        "difference here is a reason to look at real ones, and no difference proves nothing about "
        "them. A network that was trained on drawn faces has seen the like.</p>"
    ).format(len(drawn.keypoints), len(drawn.images), REFERENCE, ", ".join(DRAWN_EMOTIONS))
    picture = image_html(
        sheet, f"{_EXAMPLES} drawn faces in the variants {', '.join(drawn.images)}"
    )
    below = Markup("<p>{} of them, a row for each variant in the order of the table:</p><p>{}</p>")
    table = _drawn_table(keypoints, expression)
    yield Section("Drawn faces", text + table + below.format(_EXAMPLES, picture))


def _drawn_table(keypoints: ModelEvaluation, expression: ModelEvaluation) -> Markup:
    points = {each.name: each for each in keypoints.drawn}
    emotions = {each.name: each for each in expression.drawn}
    columns = (
        "variant",
        "keypoint RMSE",
        f"above {REFERENCE} (95 %)",
        "points moved",
        "expression right",
        f"lost from {REFERENCE} (95 %)",
        "label changed",
    )
    rows = [
        (
            name,
            *_drawn_cells(points.get(name), "px"),
            *_drawn_cells(emotions.get(name), "%"),
        )
        for name in draw_variants().images
    ]
    return table_html(columns, rows)


def _drawn_cells(each: DrawnVariant | None, unit: Unit) -> tuple[str, str, str]:
    if each is None:
        return ("-", "-", "-")
    score = format_value(1 - each.error if unit == "%" else each.error, unit)
    if each.name == REFERENCE:
        return score, "", ""
    return score, _gap_cell(each.gap, unit), format_value(each.change, unit)


def steadiness_section(
    keypoints: ModelEvaluation, expression: ModelEvaluation
) -> Iterator[Section]:
    """Build the section of the steadiness; none if neither model could be asked."""
    rows = [
        *_steadiness_rows("label flips a minute", expression),
        *_steadiness_rows("jitter of the keypoints", keypoints),
    ]
    if not rows:
        return
    text = Markup(
        "<p>What a face that does not change shows at {} looks a minute: encoded as JPEG in ten "
        "qualities one after another, and moved by a quarter of a pixel from look to look. Flips "
        "are changes of the most probable emotion; jitter is the points' deviation from their "
        "means, the movement taken out. The last column averages answers over {} looks, which is a "
        "second, and makes them half a second late.</p>"
    ).format(LOOKS_PER_MINUTE, AVERAGED)
    columns = ("", "face", "faces", "each look alone (95 %)", "averaged over a second (95 %)")
    yield Section("Steadiness", text + table_html(columns, rows))


def _steadiness_rows(title: str, model: ModelEvaluation) -> Iterator[tuple[str, ...]]:
    for each in model.steadiness:
        cells = [
            "{:.0f} ({:.0f} to {:.0f})".format(*found)
            if model.is_expression
            else _interval_text(found, "px")
            for found in (each.alone, each.averaged)
        ]
        yield (title, each.name, f"{each.faces:,}", *cells)
