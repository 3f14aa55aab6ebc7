"""Write the evaluation as a page: the verdict and its reasons, the scores, the worst faces."""

from collections.abc import Sequence

from markupsafe import Markup

from emotion_ai.faces.arrays import TEST
from emotion_ai.html_page import Section, sentences_html, table_html, write_page
from emotion_ai.steps.evaluate.expression_sections import expression_sections
from emotion_ai.steps.evaluate.gate import Check, GateReport
from emotion_ai.steps.evaluate.keypoint_sections import keypoint_sections
from emotion_ai.steps.evaluate.probe_sections import (
    drawn_section,
    group_sections,
    steadiness_section,
)
from emotion_ai.steps.evaluate.results import ModelEvaluation
from emotion_ai.steps.evaluate.score_table import format_score
from emotion_ai.steps.evaluate.verdict import CHECK_COLUMNS, check_cells


def write_report(
    path: str, decision: GateReport, keypoints: ModelEvaluation, expression: ModelEvaluation
) -> None:
    """Write the HTML report of an evaluation.

    Args:
        path: The file to write.
        decision: The gate's decision.
        keypoints: The keypoint model's evaluation.
        expression: The expression model's evaluation.
    """
    keypoint_scores, expression_scores = keypoints.scores[TEST], expression.scores[TEST]
    write_page(
        path,
        "Evaluation of the candidate",
        _lead(decision),
        [
            ("verdict", "accepted by force" if decision.forced else decision.outcome),
            (
                f"expression accuracy, {expression.test.name}",
                format_score(expression_scores.get("accuracy"), "%"),
            ),
            (
                f"expression macro F1, {expression.test.name}",
                format_score(expression_scores.get("macro_f1"), "%"),
            ),
            (
                f"keypoint RMSE, {keypoints.test.name}",
                format_score(keypoint_scores.get("rmse_px"), "px"),
            ),
            (
                f"faces under 5 % NME, {keypoints.test.name}",
                format_score(keypoint_scores.get("share_under_5_percent_nme"), "%"),
            ),
            ("champion", decision.champion or "none"),
        ],
        [
            Section("Why", sentences_html(decision.reasons)),
            Section("Every check", _check_table(decision.checks)),
            *expression_sections(expression),
            *group_sections(expression),
            *keypoint_sections(keypoints),
            *group_sections(keypoints),
            *drawn_section(keypoints, expression),
            *steadiness_section(keypoints, expression),
        ],
    )


def _lead(decision: GateReport) -> Markup:
    failed = sum(not check.passed for check in decision.checks)
    if decision.outcome == "rejected":
        verdict = Markup('<span class="bad">Rejected.</span> {} of {} checks failed')
        text = verdict.format(failed, len(decision.checks))
    elif decision.forced:
        verdict = Markup(
            '<span class="bad">Accepted by force</span> ({}), although {} of {} failed'
        )
        text = verdict.format(decision.forced, failed, f"{len(decision.checks)} checks")
    else:
        verdict = Markup('<span class="good">Accepted.</span> All {} checks passed')
        text = verdict.format(len(decision.checks))
    if decision.champion is None:
        return text + "; there is no champion to compare with."
    return text + f"; champion {decision.champion} was scored on the same faces."


def _check_table(checks: Sequence[Check]) -> Markup:
    rows = []
    for check in sorted(checks, key=lambda check: check.passed):
        style, result = ("good", "passed") if check.passed else ("bad", "failed")
        mark = Markup('<span class="{}">{}</span>').format(style, result)
        rows.append((mark, *check_cells(check)))
    return table_html(("", *CHECK_COLUMNS), rows)
