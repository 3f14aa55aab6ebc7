"""The record of a local run: of its outcome, its failure or its interruption."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai.errors import InputError, Unavailable, one_line
from emotion_ai.pipeline.local.progress import Failure, RunMonitor, Step
from emotion_ai.registry.failures import failure_record
from emotion_ai.registry.runs import SUMMARY, read_records
from emotion_ai.rollouts.targets import SUCCESSFUL
from emotion_ai.steps.notify.run import summarise


@contextlib.contextmanager
def record_interruption(registry: str, run_id: str) -> Iterator[None]:
    """Write the run's record if Ctrl-C or SIGTERM ends the block, because no step does then."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if not _has_record(registry, run_id):
            _write_record({"state": "CANCELLED"}, registry, run_id)
        raise


def _has_record(registry: str, run_id: str) -> bool:
    try:
        return SUMMARY in read_records(registry, run_id)
    except (InputError, Unavailable):
        return False


def _write_record(status: dict[str, Any], registry: str, run_id: str) -> None:
    """Write the run's record and page; an error is printed, so that it hides no other."""
    try:
        summarise(status, registry, run_id)
    except (InputError, Unavailable) as failure:
        sys.stderr.write(f"emotion-ai: run {run_id} has no record: {one_line(failure)}\n")


def require_completed(registry: str, run_id: str, monitor: RunMonitor, log: Path) -> dict[str, Any]:
    """Return the run's record, or raise the run's failure.

    KFP's runner may report success for a failed step: the record must name an outcome.
    """
    unfinished = [step for step in monitor.steps if step.state not in ("done", "cached")]
    record = read_records(registry, run_id).get(SUMMARY, {})
    # KFP tells its exit handler neither which steps there were nor why one failed.
    known = {"timeline": [_in_timeline(step) for step in monitor.steps]}
    if monitor.failure or unfinished or record.get("outcome") not in ("accepted", "rejected"):
        step, code, message = monitor.failure or Failure(
            None, 1, record.get("message", "the run left no record")
        )
        step = step or next(iter(unfinished), None)
        sentence = f"step {step.name}: {message}" if step else message
        failures = [failure_record(step.name, message, code) | {"log": step.lines}] if step else []
        status = known | {"state": "FAILED", "error": sentence, "failures": failures}
        _write_record(status, registry, run_id)
        failure = InputError if code == InputError.exit_code else Unavailable
        raise failure(f"{sentence} (log: {log})")
    # Its record is there if it failed, too.
    outcome = record["steps"].get("rollout", {}).get("outcome")
    if record["outcome"] == "accepted" and outcome not in SUCCESSFUL:
        sentence = f"release {record['release']} was not rolled out"
        _write_record(known | {"state": "FAILED", "error": sentence}, registry, run_id)
        raise Unavailable(f"run {run_id}: {sentence}")
    _write_record(known | {"state": record["state"]}, registry, run_id)
    return record


def _in_timeline(step: Step) -> dict[str, Any]:
    return {"step": step.name, "state": step.state, "seconds": step.seconds}
