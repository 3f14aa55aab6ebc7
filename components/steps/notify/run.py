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
from emotion_ai.steps.notify.outcome import run_outcome
from emotion_ai.steps.notify.page import write_run_page
from emotion_ai.steps.notify.pods import look_at_pods


def run(status: dict[str, Any], registry: str, run_id: str, job_id: str = "") -> None:
    """Write the run's summary and page, and print the outcome in one line.

    Args:
        status: How the run ended, see `summarise`; in a cluster, the failed step is found out.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.
        job_id: KFP's id of the run; "" outside of a cluster.

    Raises:
        InputError: The run id or one of the run's records is invalid.
        Unavailable: The registry failed.
    """
    summary = summarise(status | look_at_pods(job_id), registry, run_id)
    page = storage.join(run_uri(registry, run_id), "index.html")
    print(f"run {run_id}: {summary['outcome']}: {summary['message']} ({page})")


def summarise(status: dict[str, Any], registry: str, run_id: str) -> dict[str, Any]:
    """Write the run's summary, run.json, and its page, index.html.

    Args:
        status: Fields of KFP's PipelineTaskFinalStatus: "state" ("SUCCEEDED", "FAILED" or
            "CANCELLED"; back ends with ML Metadata say "COMPLETE", and "RUNNING" where they do not
            know) and "error" (the message; "" for none). Also, where they are known, "failures",
            the records of the steps that failed, each with "log", the end of its log in lines, and
            "timeline", "step", "state" and "seconds" of each step that ran.
        registry: A local folder or a gs:// URI.
        run_id: The run's id.

    Returns:
        The summary: "outcome" ("accepted", "rejected", "failed" or "interrupted"), "message",
        "reasons", "failure" (see `failure_record`; None for none), "release", "champion",
        "reports", "timeline", "steps" (the steps' records) and more.

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
        **run_outcome(status, records),
        "release": records.get("push", {}).get("version"),
        "champion": read_champion(registry),
        "reports": list_reports(registry, run_id),
        "timeline": status.get("timeline", []),
        "steps": records,
    }
    write_record(registry, run_id, SUMMARY, summary)
    with tempfile.TemporaryDirectory(prefix="notify-") as scratch:
        page = Path(scratch) / "index.html"
        write_run_page(page, summary, _read_release(registry, summary["release"]))
        uri = storage.join(run_uri(registry, run_id), "index.html")
        storage.write_bytes(uri, page.read_bytes())
    return summary


def _read_release(registry: str, version: int | None) -> ReleaseInfo | None:
    return None if version is None else read_release(registry, version)
