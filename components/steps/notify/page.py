"""Write the page of a run: how it ended and why, its steps, its reports and its release."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emotion_ai.html_page import Section, sentences_html, table_html, write_page
from emotion_ai.registry.releases import ReleaseInfo
from emotion_ai.steps.notify.rollout_section import rollout_section

_TITLES = {
    "accepted": "The candidate was accepted",
    "rejected": "The candidate was rejected",
    "failed": "The run failed",
    "interrupted": "The run was interrupted",
}
# In the order in which the steps write them.
_REPORTS = {
    "keypoint-data": "Data report of the faces with keypoints",
    "expression-data": "Data report of the faces with emotions",
    "keypoint-preview": "Faces with keypoints, as training sees them",
    "expression-preview": "Faces with emotions, as training sees them",
    "keypoint-curves": "Learning curves of the keypoint network",
    "expression-curves": "Learning curves of the expression network",
    "evaluation": "Evaluation of the candidate",
    "validation": "Validation of the exported model in a server",
}
_STATES = {
    "done": ("good", "done"),
    "cached": ("", "from the cache"),
    "failed": ("bad", "failed"),
    "running": ("bad", "did not end"),
}


def write_run_page(path: Path, summary: dict[str, Any], release: ReleaseInfo | None) -> None:
    """Write the page of a run.

    Args:
        path: The HTML page to write.
        summary: The content of run.json.
        release: The release that the run published; None if there is none.
    """
    by_force = " by force" if _forced(summary) else ""
    started = summary["steps"].get("resolve", {}).get("started", "")
    tiles = [
        ("outcome", f"{summary['outcome']}{by_force}"),
        ("release", _or_none(summary["release"])),
        ("champion", _or_none(summary["champion"])),
        ("finished (UTC)", _time(summary["finished"])),
        *(("took", took) for took in _took(started, summary["finished"])),
    ]
    message = summary["message"]
    lead = f"Run {summary['run_id']}: {message}{'' if message.endswith('.') else '.'}"
    title = f"{_TITLES[summary['outcome']]}{by_force}"
    write_page(path, title, lead, tiles, _sections(summary, release))


def _sections(summary: dict[str, Any], release: ReleaseInfo | None) -> Iterator[Section]:
    steps = summary["steps"]
    if failure := summary.get("failure"):
        yield Section(f"Why step {failure['step']} failed", _failure_html(failure))
    if summary["reasons"]:
        yield Section("Why", sentences_html(summary["reasons"]))
    if timeline := summary.get("timeline"):
        yield Section("Steps", _timeline_table(timeline))
    if resolve := steps.get("resolve"):
        yield Section("What it was given", table_html(("", ""), _input_rows(resolve)))
    if summary["reports"]:
        yield Section("Reports", _report_list(summary["reports"]))
    yield from _check_sections(steps)
    if rollout := steps.get("rollout"):
        yield Section("Rollout", rollout_section(rollout, steps.get("resolve", {}).get("adopted")))
    if release is not None:
        yield Section(f"Release {release.version}", _release_table(release))
    if steps:
        records = [_record_details(name, record) for name, record in steps.items()]
        yield Section("Records of the steps", Markup("\n").join(records))


def _check_sections(steps: Mapping[str, Any]) -> Iterator[Section]:
    gate, rejection = (steps.get(name, {}).get("checks") for name in ("gate", "reject"))
    if gate:
        yield Section("Checks of the gate", _check_table(gate))
    if rejection and rejection != gate:
        yield Section("Checks of the validation", _check_table(rejection))


def _forced(summary: Mapping[str, Any]) -> str:
    """Why the gate was overruled; "" if it was not."""
    return str(summary["steps"].get("push", {}).get("gate", {}).get("forced") or "")


def _failure_html(failure: Mapping[str, Any]) -> Markup:
    reason = Markup("<p>{}</p>").format(failure["message"])
    if not failure.get("log"):
        return reason
    log = Markup('<p>The end of its log:</p>\n<pre class="scroll">{}</pre>')
    return reason + log.format("\n".join(failure["log"]))


def _timeline_table(timeline: list[dict[str, Any]]) -> Markup:
    rows = []
    for row in timeline:
        style, words = _STATES.get(row["state"], ("", row["state"]))
        took = f"{row['seconds']:.1f} s" if row["seconds"] else ""
        rows.append((row["step"], _coloured(style, words), took))
    return table_html(("step", "", "took"), rows)


def _input_rows(resolve: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The sources and what people ask for first; all settings are in the record of `resolve`."""
    yield "faces with keypoints", resolve.get("keypoints", "")
    yield "faces with emotions", resolve.get("expression", "")
    settings = resolve.get("settings", {})
    names = {"label_set": "label set", "emotions": "emotions", "seed": "seed", "init": "weights"}
    for name, words in names.items():
        if settings.get(name) not in (None, ""):
            yield words, settings[name]
    if teachers := settings.get("teachers"):
        yield "teachers", ", ".join(map(str, teachers))
    epochs = {
        kind: settings.get(f"{name}_training", {}).get("epochs")
        for kind, name in (("keypoints", "keypoint"), ("expression", "expression"))
    }
    if None not in epochs.values():
        yield "epochs at most", ", ".join(f"{kind} {count}" for kind, count in epochs.items())
    yield "champion before it", resolve.get("champion") or "none"


def _report_list(reports: list[str]) -> Markup:
    order = list(_REPORTS)
    known = sorted(reports, key=lambda name: order.index(name) if name in order else len(order))
    links = [
        Markup('<li><a href="reports/{}.html">{}</a></li>').format(name, _REPORTS.get(name, name))
        for name in known
    ]
    return Markup("<ul>{}</ul>").format(Markup("").join(links))


def _check_table(checks: list[dict[str, Any]]) -> Markup:
    """Show the failed checks first, each in the words of its report."""
    rows = [
        (
            _coloured("good", "passed") if check.get("passed") else _coloured("bad", "failed"),
            check.get("sentence") or check.get("name", ""),
        )
        for check in sorted(checks, key=lambda check: bool(check.get("passed")))
    ]
    return table_html(("", "check"), rows)


def _coloured(style: str, words: str) -> Markup:
    return Markup('<span class="{}">{}</span>').format(style, words)


def _release_table(release: ReleaseInfo) -> Markup:
    rows: list[tuple[str, object]] = [
        ("emotions", f"{', '.join(release.labels)} ({release.label_set})"),
        *(
            (f"{name} from", f"{data.source}: {data.rows} rows")
            for name, data in release.data.items()
        ),
        ("champion before it", _or_none(release.parent)),
        ("code revision", release.revision),
        ("content digest", release.content_digest),
        ("created (UTC)", _time(release.created)),
    ]
    if release.gate.forced:
        rows.append(("the gate was overruled", release.gate.forced))
    return table_html(("", ""), rows)


def _record_details(name: str, record: dict[str, Any]) -> Markup:
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return Markup('<details><summary>{}</summary><pre class="scroll">{}</pre></details>').format(
        name, text
    )


def _time(text: str) -> str:
    return text.removesuffix("+00:00").replace("T", " ")


def _took(started: str, finished: str) -> Iterator[str]:
    """Yield the time between two times, as 1:02:03; nothing where one is missing."""
    try:
        duration = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    except (TypeError, ValueError):
        return
    yield str(duration).partition(".")[0]


def _or_none(value: object) -> object:
    return "none" if value is None else value
