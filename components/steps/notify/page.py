"""Write the page of a run: how it ended and why, its reports and its release."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from emotion_ai.html_page import Section, table_html, write_page
from emotion_ai.registry.releases import ReleaseInfo
from emotion_ai.steps.notify.rollout_section import rollout_section

_TITLES = {
    "accepted": "The candidate was accepted",
    "rejected": "The candidate was rejected",
    "failed": "The run failed",
    "interrupted": "The run was interrupted",
}


def write_run_page(path: Path, summary: dict[str, Any], release: ReleaseInfo | None) -> None:
    """Write the page of a run.

    Args:
        path: The HTML page to write.
        summary: The content of run.json.
        release: The release that the run published; None if there is none.
    """
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
        yield Section("Why", _bullet_list(summary["reasons"]))
    if summary["reports"]:
        links = [
            Markup('<a href="reports/{0}.html">{0}</a>').format(name) for name in summary["reports"]
        ]
        yield Section("Reports", _bullet_list(links))
    gate, rejection = (summary["steps"].get(name, {}).get("checks") for name in ("gate", "reject"))
    if gate:
        yield Section("Checks of the gate", _check_table(gate))
    if rejection and rejection != gate:
        yield Section("Checks of the validation", _check_table(rejection))
    if rollout := summary["steps"].get("rollout"):
        adopted = summary["steps"].get("resolve", {}).get("adopted", "")
        yield Section("Rollout", rollout_section(rollout, adopted))
    if release is not None:
        yield Section(f"Release {release.version}", _release_table(release))
    if summary["steps"]:
        records = [_record_details(name, record) for name, record in summary["steps"].items()]
        yield Section("Records of the steps", Markup("\n").join(records))


def _check_table(checks: list[dict[str, Any]]) -> Markup:
    rows = [
        (
            check.get("name", ""),
            Markup('<span class="{}">{}</span>').format(
                *(("good", "passed") if check.get("passed") else ("bad", "failed"))
            ),
            _empty_if_none(check.get("value")),
            _empty_if_none(check.get("limit")),
            check.get("sentence", ""),
        )
        for check in checks
    ]
    return table_html(("check", "result", "value", "limit", ""), rows)


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
        ("created (UTC)", release.created),
    ]
    if release.gate.forced:
        rows.append(("the gate was overruled", release.gate.forced))
    return table_html(("", ""), rows)


def _record_details(name: str, record: dict[str, Any]) -> Markup:
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return Markup('<details><summary>{}</summary><pre class="scroll">{}</pre></details>').format(
        name, text
    )


def _bullet_list(items: list[Any]) -> Markup:
    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    )


def _or_none(value: object) -> object:
    return "none" if value is None else value


def _empty_if_none(value: object) -> object:
    return "" if value is None else value
