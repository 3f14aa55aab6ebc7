"""The section of a model card about answers that are none."""

from collections.abc import Mapping
from typing import Any

from emotion_ai.markdown_text import markdown_row

HEADING = "## When it does not answer"
_NEXT_HEADING = "## Intended use and limits"


def refusal_section(report: Mapping[str, Any]) -> str:
    """Render what `networks.refusal_fit` reports, as Markdown with a newline at its end."""
    if "curve" not in report:
        reason = report.get("missing", "it was made before that could be fitted")
        text = f"It always answers, and does not say whether a picture shows a face: {reason}."
        return f"{HEADING}\n\n{text}\n"
    kinds = ", ".join(report["refused"])
    lines = [
        HEADING,
        "",
        "Output `cannot_tell` says why an answer is none: `not a face` where `face_score` is",
        "below 0, `ambiguous` where no emotion has a probability of at least",
        f"{report['min_probability']:.3f}; else it is empty. Both thresholds were chosen on",
        "validation. The score is a linear function of both networks' last maps, fitted to faces",
        "of train, some of them corrupted, and to drawn pictures without a face",
        f"({kinds}).",
        "",
        *_table(["refused as no face", "share"], _refused_rows(report)),
        "",
        "Coverage and accuracy of the expression on test:",
        "",
        *_table(
            ["probability of at least", "answered", "accuracy of these"],
            [
                [
                    f"{point['min_probability']:.3f}",
                    f"{point['coverage']:.1%}",
                    f"{point['accuracy']:.1%}",
                ]
                for point in report["curve"]
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def replace_section(card: str, section: str) -> str:
    """Put the section into a card, before the one on its use, in place of one that is there."""
    before, heading, after = card.partition(_NEXT_HEADING)
    if HEADING in before:
        before = before[: before.index(HEADING)]
    return f"{before}{section}\n{heading}{after}"


def _refused_rows(report: Mapping[str, Any]) -> list[list[str]]:
    faces = [
        [f"faces of {kind}, {split}", f"{share:.2%}"]
        for split, shares in report["lost"].items()
        for kind, share in shares.items()
    ]
    drawn = [
        [f"drawn: {kind} (fitted without this kind)", f"{share:.1%}"]
        for kind, share in report["refused"].items()
    ]
    return faces + drawn


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [markdown_row(head), "|" + "---|" * len(head), *map(markdown_row, rows)]
