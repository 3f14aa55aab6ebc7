"""The run's page: what a newcomer opens to see how a run ended and why."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emotion_ai.html_page import Section, table_html, write_page
from emotion_ai.registry.releases import ReleaseInfo

_TITLES = {
    "accepted": "The candidate was accepted",
    "rejected": "The candidate was rejected",
    "failed": "The run failed",
    "interrupted": "The run was interrupted",
}


def write_run_page(path: Path, summary: dict[str, Any], release: ReleaseInfo | None) -> None:
    """Write the page of a run from its summary (run.json) and the release it made, if any."""
    tiles = [
        ("outcome", summary["outcome"]),
        ("release", _or_none(summary["release"])),
        ("champion", _or_none(summary["champion"])),
        ("finished (UTC)", summary["finished"].removesuffix("+00:00").replace("T", " ")),
    ]
    message = summary["message"]
    lead = f"Run {summary['run_id']}: {message}{'' if message.endswith('.') else '.'}"
    write_page(path, _TITLES[summary["outcome"]], lead, tiles, _sections(summary, release))


def _sections(summary: dict[str, Any], release: ReleaseInfo | None) -> Iterator[Section]:
    if summary["reasons"]:
        yield Section("Why", _list(summary["reasons"]))
    if summary["reports"]:
        links = [
            Markup('<a href="reports/{0}.html">{0}</a>').format(name) for name in summary["reports"]
        ]
        yield Section("Reports to look at", _list(links))
    gate, rejection = (summary["steps"].get(name, {}).get("checks") for name in ("gate", "reject"))
    if gate:
        yield Section("What the gate checked", _checks(gate))
    if rejection and rejection != gate:
        yield Section("What validation checked", _checks(rejection))
    if release is not None:
        yield Section(f"Release {release.version}", _release(release))
    if summary["steps"]:
        records = [_record(name, record) for name, record in summary["steps"].items()]
        yield Section("What each step recorded", Markup("\n").join(records))


def _checks(checks: list[dict[str, Any]]) -> Markup:
    rows = [
        (
            check.get("name", ""),
            Markup('<span class="{}">{}</span>').format(
                *(("good", "passed") if check.get("passed") else ("bad", "not passed"))
            ),
            _shown(check.get("value")),
            _shown(check.get("limit")),
            check.get("sentence", ""),
        )
        for check in checks
    ]
    return table_html(("check", "result", "value", "limit", ""), rows)


def _release(release: ReleaseInfo) -> Markup:
    rows: list[tuple[str, object]] = [
        ("emotions", f"{', '.join(release.labels)} ({release.label_set})"),
        *(
            (f"{name} from", f"{data.source}: {data.rows} rows")
            for name, data in release.data.items()
        ),
        ("champion before it", _or_none(release.parent)),
        ("code revision", release.revision),
        ("content digest", release.content_digest),
        ("made (UTC)", release.created),
    ]
    if release.gate.forced:
        rows.append(("the gate was overruled", release.gate.forced))
    return table_html(("", ""), rows)


def _record(name: str, record: dict[str, Any]) -> Markup:
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return Markup('<details><summary>{}</summary><pre class="scroll">{}</pre></details>').format(
        name, text
    )


def _list(items: list[Any]) -> Markup:
    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    )


def _or_none(value: object) -> object:
    return "none" if value is None else value


def _shown(value: object) -> object:
    return "" if value is None else value
