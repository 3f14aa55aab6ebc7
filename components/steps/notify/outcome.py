"""What became of a run, from the state that KFP reports and the records of its steps."""

from collections.abc import Mapping, Sequence
from typing import Any

from emotion_ai.registry.failures import FAILURE, KILLED

Record = Mapping[str, Any]

# Back ends with ML Metadata use its words.
_STATES = {"COMPLETE": "SUCCEEDED", "CACHED": "SUCCEEDED", "CANCELED": "CANCELLED"}
_ROLLED_OUT = {"rolled out", "unchanged", "superseded"}


def end_state(status: Record) -> str:
    """Return how the run ended: "SUCCEEDED", "FAILED" or "CANCELLED"; "" where KFP does not know.

    Args:
        status: Fields of KFP's PipelineTaskFinalStatus, see `summarise`.
    """
    state = str(status.get("state", ""))
    state = _STATES.get(state, state)
    return state if state in ("SUCCEEDED", "FAILED", "CANCELLED") else ""


def run_outcome(status: Record, records: Mapping[str, Record]) -> dict[str, Any]:
    """Judge a run.

    Args:
        status: How it ended, see `summarise`.
        records: The records of its steps, by name.

    Returns:
        "outcome" ("accepted", "rejected", "failed" or "interrupted"), "message", "reasons", and
        "failure", the record of the step that failed (None for none).
    """
    state = end_state(status)
    failure = next(iter(status.get("failures", [])), records.get(FAILURE))
    if not state:
        state = _judge_state(records, failure)
    if state == "SUCCEEDED":
        return _decision(records)
    if state == "FAILED":
        return _ended("failed", _failure_message(status, failure), failure=failure)
    message = "the run was interrupted; another one goes on from the steps that were done"
    return _ended("interrupted", message)


def _judge_state(records: Mapping[str, Record], failure: Record | None) -> str:
    """Find the state from what the steps left, where KFP says "RUNNING"."""
    if "reject" in records or records.get("rollout", {}).get("outcome") in _ROLLED_OUT:
        return "SUCCEEDED"
    # Whoever stops a run kills its steps.
    return "FAILED" if failure and failure["exit_code"] not in KILLED else "CANCELLED"


def _failure_message(status: Record, failure: Record | None) -> str:
    if failure:
        return f"step {failure['step']}: {failure['message']}"
    return status.get("error") or "a step did not succeed; its log says why"


def _decision(records: Mapping[str, Record]) -> dict[str, Any]:
    if "reject" in records:
        reasons = records["reject"].get("reasons", [])
        return _ended("rejected", "the candidate was rejected; the champion is unchanged", reasons)
    if "push" in records:
        reasons = records["push"].get("gate", {}).get("reasons", [])
        message = _accepted_message(records["push"], records.get("rollout", {}))
        return _ended("accepted", message, reasons)
    # If a condition matches no branch, KFP reports success although nothing was decided.
    return _ended("failed", "the run ended without a release and without a rejection")


def _ended(
    outcome: str, message: str, reasons: Sequence[str] = (), failure: Record | None = None
) -> dict[str, Any]:
    return {"outcome": outcome, "message": message, "reasons": [*reasons], "failure": failure}


def _accepted_message(push: Record, rollout: Record) -> str:
    same = "" if push["new"] else ", the same as before,"
    accepted = f"release {push['version']}{same} was accepted"
    if forced := push.get("gate", {}).get("forced"):
        accepted += f" by force ({forced})"
    if rollout.get("outcome") == "superseded":
        return f"{accepted}; a newer one answers"
    if "server" in rollout:
        # A local run's server has stopped when the page is read.
        return f"{accepted} and answered at {rollout['server']}"
    if "revision" in rollout:
        return (
            f"{accepted} and rolled out in {rollout['namespace']}, revision {rollout['revision']}"
        )
    return accepted
