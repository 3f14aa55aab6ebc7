"""Gather what a run left in `<registry>/runs/<run id>/` into run.json and index.html.

This is the pipeline's exit handler: it runs however the run ended.
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
    """Write the run's summary and page, and print the outcome in one line.

    Args:
        status: How the run ended, see `summarise`.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Raises:
        InputError: The run id or one of the run's records is invalid.
        Unavailable: The registry failed.
    """
    summary = summarise(status, registry, run_id)
    page = storage.join(run_uri(registry, run_id), "index.html")
    print(f"run {run_id}: {summary['outcome']}: {summary['message']} ({page})")


def summarise(status: dict[str, Any], registry: str, run_id: str) -> dict[str, Any]:
    """Write the run's summary, run.json, and its page, index.html.

    Args:
        status: Fields of KFP's PipelineTaskFinalStatus: "state" ("SUCCEEDED", "FAILED" or
            "CANCELLED") and "error" (the message; "" for none).
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Returns:
        The summary: "outcome" ("accepted", "rejected", "failed" or "interrupted"), "message",
        "reasons", "release", "champion", "reports", "steps" (the steps' records) and more.

    Raises:
        InputError: The run id or one of the run's records is invalid.
        Unavailable: The registry failed.
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
        write_run_page(page, summary, _read_release(registry, summary["release"]))
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
        message = "the candidate was rejected; the champion is unchanged"
        return {"outcome": "rejected", "message": message, "reasons": reasons}
    if "push" in records:
        message = _accepted_message(records["push"], records.get("rollout"))
        reasons = records["push"].get("gate", {}).get("reasons", [])
        return {"outcome": "accepted", "message": message, "reasons": reasons}
    # If a condition matches no branch, KFP reports success although nothing was decided.
    message = "the run ended without a release and without a rejection"
    return {"outcome": "failed", "message": message, "reasons": []}


def _accepted_message(push: dict[str, Any], rollout: dict[str, Any] | None) -> str:
    same = "" if push["new"] else ", the same as before,"
    # A local run's server has stopped when the page is read.
    answered = f" and answered at {rollout['server']}" if rollout else ""
    return f"release {push['version']}{same} was accepted{answered}"


def _read_release(registry: str, version: int | None) -> ReleaseInfo | None:
    return None if version is None else read_release(registry, version)
