"""Describe a run: how it ended and why, for `emotion-ai describe --run`."""

from collections.abc import Mapping
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.failures import FAILURE
from emotion_ai.registry.releases import check_exists
from emotion_ai.registry.runs import RUNS, SUMMARY, is_run_id, read_records, run_uri

_SHOWN = 5
# What people are shown of these records.
_SUMMARY_KEYS = ("run_id", "outcome", "message", "reasons", "steps")
_FAILURE_KEYS = ("step", "message")


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
    folder = run_uri(registry, run_id)
    if not records:
        raise InputError(_why_unknown(registry, run_id))
    if SUMMARY in records:
        _check_keys(folder, SUMMARY, records[SUMMARY], _SUMMARY_KEYS)
        return {**records[SUMMARY], "page": storage.join(folder, "index.html")}
    failure = records.get(FAILURE)
    if failure:
        _check_keys(folder, FAILURE, failure, _FAILURE_KEYS)
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


def _check_keys(folder: str, name: str, record: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in record]
    if missing:
        raise InputError(f"{storage.join(folder, name)}.json: is damaged: it lacks {missing[0]!r}")


def _ending(records: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The outcome of a run without a summary, and a message."""
    rollout = records.get("rollout", {})
    # The training pipeline begins with `resolve`, and ends with a summary.
    if "resolve" in records or "outcome" not in rollout:
        return "unfinished", "it is still going on, or was killed"
    return rollout["outcome"], f"release {rollout['version']}, because: {rollout.get('reason', '')}"


def _why_unknown(registry: str, run_id: str) -> str:
    check_exists(registry)
    # Run ids of local runs begin with the date.
    names = sorted(storage.list_names(storage.join(registry, RUNS)), reverse=True)
    others = [name for name in names if is_run_id(name) and name != run_id]
    more = ", ..." if len(others) > _SHOWN else ""
    known = f"one of {', '.join(others[:_SHOWN])}{more}" if others else "a registry with runs"
    if run_id in names:
        return (
            f"{run_uri(registry, run_id)}: has no records: the run has not read its sources yet, "
            f"or was killed before; expected {known if others else 'a run with records'}"
        )
    return f"{registry}: no run {run_id!r}; expected {known}"
