"""The gate's verdict in words: the cells of its checks, and Markdown, which KFP's page shows."""

from collections.abc import Iterator

from emotion_ai import storage
from emotion_ai.markdown_text import escape_markdown
from emotion_ai.steps.evaluate.gate import Check, GateReport
from emotion_ai.steps.evaluate.metric_text import format_value, metric_info

CHECK_COLUMNS = ("metric", "split", "candidate", "required", "compared with")
_COMPARED_WITH = {"floor": "limit", "baseline": "baseline", "champion": "champion, with tolerance"}


def check_cells(check: Check) -> tuple[str, ...]:
    """Return the cells of a check, in the order of `CHECK_COLUMNS`."""
    kind, split, score = check.name.split("/", 2)
    info = metric_info(f"{kind}/{score}")
    value = "not measured" if check.value is None else format_value(check.value, info.unit)
    bound = "at least" if info.higher_is_better else "at most"
    if check.comparison == "baseline":
        bound = "better than"
    required = f"{bound} {format_value(check.limit, info.unit)}"
    return info.title, split, value, required, _COMPARED_WITH[check.comparison]


def write_verdict(path: str, decision: GateReport) -> None:
    """Write the verdict, its reasons and every check as Markdown.

    Args:
        path: The file to write.
        decision: The gate's decision.
    """
    storage.write_bytes(path, ("\n".join(_lines(decision)) + "\n").encode())


def _lines(decision: GateReport) -> Iterator[str]:
    yield "# Accepted by force" if decision.forced else f"# {decision.outcome.capitalize()}"
    yield ""
    yield f"Champion: {decision.champion or 'none'}"
    yield ""
    for reason in decision.reasons:
        yield f"- {escape_markdown(reason)}"
    yield ""
    yield f"| | {' | '.join(CHECK_COLUMNS)} |"
    yield "|---" * (1 + len(CHECK_COLUMNS)) + "|"
    # The failed ones first.
    for check in sorted(decision.checks, key=lambda check: check.passed):
        cells = (
            "passed" if check.passed else "**failed**",
            *map(escape_markdown, check_cells(check)),
        )
        yield f"| {' | '.join(cells)} |"
