"""Describe a run: how it ended and why, for `emotion-ai describe --run`."""

from collections.abc import Mapping
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.failures import FAILURE
from emotion_ai.registry.runs import RUNS, SUMMARY, read_records, run_uri

_SHOWN = 5


def describe_run(registry: str, run_id: str) -> dict[str, Any]:
    """Describe a run by its records.

    Args:
        registry: A local folder or a gs:// URI.
        run_id: The run's id: the parameter `run_name`, or KFP's id of the run.

    Returns:
        The content of run.json, and "page", the address of the run's page ("" for none). A run of
        one rollout has that rollout's outcome. Any other without run.json has not ended: its
        outcome is "unfinished", and it has its failure if a step left one.

    Raises:
        InputError: There is no such run, or a record is invalid.
        Unavailable: The storage failed.
    """
    records = read_records(registry, run_id)
    if not records:
        raise InputError(f"{registry}: no run {run_id!r}; expected {_known_runs(registry)}")
    if SUMMARY in records:
        page = storage.join(run_uri(registry, run_id), "index.html")
        return {**records[SUMMARY], "page": page}
    failure = records.get(FAILURE)
    outcome, message = _ending(records)
    reason = f"; step {failure['step']}: {failure['message']}" if failure else ""
    return {
        "run_id": run_id,
        "outcome": outcome,
        "message": f"{message}{reason}",
        "reasons": [],
        "failure": failure,
        "steps": records,
        "page": "",
    }


def _ending(records: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The outcome of a run without a summary, and a message."""
    rollout = records.get("rollout", {})
    # The training pipeline begins with `resolve`, and ends with a summary.
    if "resolve" in records or "outcome" not in rollout:
        return "unfinished", "it is still going on, or was killed"
    return rollout["outcome"], f"release {rollout['version']}, because: {rollout.get('reason', '')}"


def _known_runs(registry: str) -> str:
    # Run ids of local runs begin with the date.
    names = sorted(storage.list_names(storage.join(registry, RUNS)), reverse=True)
    if not names:
        return "a registry with runs"
    more = ", ..." if len(names) > _SHOWN else ""
    return f"one of {', '.join(names[:_SHOWN])}{more}"
