"""Gather what a run left in `<registry>/runs/<run id>/` into run.json and index.html.

The pipeline's exit handler: it runs whatever became of the run, reads the records that the steps
wrote, and says in one line how it ended.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotion_ai import storage
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import ReleaseInfo, read_release
from emotion_ai.registry.runs import SUMMARY, list_reports, read_records, run_uri, write_record
from emotion_ai.steps.notify.page import write_run_page


def run(status: dict[str, Any], registry: str, run_id: str) -> None:
    """Summarise the run, and print one line with the outcome."""
    summary = summarise(status, registry, run_id)
    page = storage.join(run_uri(registry, run_id), "index.html")
    print(f"run {run_id}: {summary['outcome']}: {summary['message']} ({page})")


def summarise(status: dict[str, Any], registry: str, run_id: str) -> dict[str, Any]:
    """Write the run's summary, run.json, and its page; returns the summary.

    `status` holds what KFP's PipelineTaskFinalStatus says: `state` (SUCCEEDED, FAILED, CANCELLED)
    and `error`, the message or "".
    """
    records = read_records(registry, run_id)
    records.pop(SUMMARY, None)
    summary = {
        "run_id": run_id,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "state": status.get("state", ""),
        **_outcome(status, records),
        "release": records.get("push", {}).get("version"),
        "champion": read_champion(registry),
        "reports": list_reports(registry, run_id),
        "steps": records,
    }
    write_record(registry, run_id, SUMMARY, summary)
    with tempfile.TemporaryDirectory(prefix="notify-") as scratch:
        page = Path(scratch) / "index.html"
        write_run_page(page, summary, _release(registry, summary["release"]))
        uri = storage.join(run_uri(registry, run_id), "index.html")
        storage.write_bytes(uri, page.read_bytes())
    return summary


def _outcome(status: dict[str, Any], records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if status.get("state") == "CANCELLED":
        message = "the run was interrupted; another one goes on from the steps that were done"
        return {"outcome": "interrupted", "message": message, "reasons": []}
    if status.get("state") != "SUCCEEDED":
        message = status.get("error") or "a step did not succeed; its log says why"
        return {"outcome": "failed", "message": message, "reasons": []}
    if "reject" in records:
        reasons = records["reject"].get("reasons", [])
        message = "the candidate was rejected; what answered before still does"
        return {"outcome": "rejected", "message": message, "reasons": reasons}
    if "push" in records:
        message = _accepted(records["push"], records.get("rollout"))
        reasons = records["push"].get("gate", {}).get("reasons", [])
        return {"outcome": "accepted", "message": message, "reasons": reasons}
    # A condition that matches no branch leaves a run green in which nothing was decided.
    message = "the run ended without a release and without a rejection"
    return {"outcome": "failed", "message": message, "reasons": []}


def _accepted(push: dict[str, Any], rollout: dict[str, Any] | None) -> str:
    same = "" if push["new"] else ", the same as before,"
    answers = f" and answers at {rollout['server']}" if rollout else ""
    return f"release {push['version']}{same} was accepted{answers}"


def _release(registry: str, version: int | None) -> ReleaseInfo | None:
    return None if version is None else read_release(registry, version)
