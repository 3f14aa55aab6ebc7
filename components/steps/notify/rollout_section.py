"""The part of a run's page that says how the release was rolled out."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from emotion_ai.html_page import table_html

_GOOD = ("rolled out", "unchanged", "superseded")
# In rem; the longest bar is of a rollout that was nothing but this phase.
_BAR_WIDTH = 20


def rollout_section(record: dict[str, Any], adopted: str | None) -> Markup:
    """Show a rollout: how it ended, its canary, its phases, and the servers that were verified.

    Args:
        record: The run record "rollout"; a rollout that failed, or was made by earlier code, has
            less in it.
        adopted: What the run adopted before it began; "" or None for nothing.
    """
    parts = [table_html(("", ""), [*_facts(record), *_adopted(adopted)])]
    if canary := record.get("canary"):
        parts += [_heading("Canary"), table_html(("", ""), _canary_rows(canary))]
    if phases := record.get("phases"):
        parts += [_heading("Phases"), _phase_table(phases)]
    if endpoints := record.get("endpoints"):
        columns = ("pod", "node", "address", "release", "largest difference")
        keys = ("pod", "node", "address", "version", "largest_difference")
        rows = [[endpoint.get(key, "") for key in keys] for endpoint in endpoints]
        parts += [_heading("Verified servers"), table_html(columns, rows)]
    return Markup("\n").join(parts)


def _heading(text: str) -> Markup:
    return Markup('<h3 style="font-size: 1rem; margin: 1.2rem 0 .3rem">{}</h3>').format(text)


def _facts(record: dict[str, Any]) -> Iterator[tuple[str, object]]:
    if outcome := record.get("outcome"):
        css = "good" if outcome in _GOOD else "bad"
        yield "outcome", Markup('<span class="{}">{}</span>').format(css, outcome)
    for reason in record.get("reasons", []):
        yield "why", reason
    names = {
        "reason": "asked for, because",
        "namespace": "namespace",
        "server": "server",
        "revision": "revision",
    }
    yield from ((name, record[key]) for key, name in names.items() if key in record)
    if "previous" in record:
        previous = record["previous"]
        yield "before it", "no release" if previous is None else f"release {previous}"
    if "answers_checked" in record:
        yield "golden answers", record["answers_checked"]
        yield "largest difference", float(record.get("largest_difference", 0))
    if "watched" in record:
        yield "watched at the end", record["watched"]
    if "seconds" in record:
        yield "took", f"{record['seconds']:.0f} s"


def _adopted(adopted: str | None) -> Iterator[tuple[str, object]]:
    if adopted:
        yield "before the run", adopted


def _canary_rows(canary: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "pod", f"{canary.get('pod', '')} on {canary.get('node', '')}"
    yield "golden answers", canary.get("golden", 0)
    yield "largest difference", float(canary.get("largest_difference", 0))
    if "requests" in canary:
        yield "requests of callers", f"{canary['requests']}, of them failed: {canary['errors']}"
        yield "95 % answered within", _latency_words(canary)
        yield "share of the requests", f"{100 * canary['share']:.0f} %"
    yield "judged by", canary.get("judged_by", "nothing: it did not come to that")


def _latency_words(canary: dict[str, Any]) -> str:
    own, stable = canary.get("p95_ms"), canary.get("stable_p95_ms")
    if own is None:
        return "unknown: too few requests"
    return f"{own:.0f} ms" + ("" if stable is None else f" (the release before: {stable:.0f} ms)")


def _phase_table(phases: list[dict[str, Any]]) -> Markup:
    """Show each phase with a bar as long as its share of the whole time."""
    total = sum(phase["seconds"] for phase in phases) or 1.0
    bar = Markup(
        '<div style="background: #56B4E9; border-radius: .2rem; height: .7rem; min-width: 2px; '
        'width: {:.2f}rem"></div>'
    )
    rows = [
        (
            phase["name"],
            phase["at"].removesuffix("+00:00").replace("T", " "),
            f"{phase['seconds']:.0f} s",
            bar.format(_BAR_WIDTH * phase["seconds"] / total),
        )
        for phase in phases
    ]
    return table_html(("phase", "began (UTC)", "took", ""), rows)
