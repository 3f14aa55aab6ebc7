"""A run whose name another run has had: neither is judged by the other's records; real steps."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.run_description import describe_run
from emotion_ai.registry.runs import SUMMARY, claim_run, read_records, write_record
from emotion_ai.steps.notify.component import notify
from emotion_ai.steps.reject.component import reject
from emotion_ai.steps.rollout.component import rollout

from support.resolve_step import run_resolve


def run_reject(registry: str, run_id: str, folder: Path) -> None:
    report = folder / "verdict.json"
    decision = {"outcome": "rejected", "reasons": ["too few faces"], "checks": []}
    report.write_text(json.dumps(decision))
    reject.python_func(SimpleNamespace(path=str(report)), registry, run_id)


def run_notify(registry: str, job_id: str, state: str) -> None:
    status = SimpleNamespace(state=state, error_message="")
    notify.python_func(status, registry, "nightly", job_id, "", {})


@pytest.fixture
def rejected(registry: str, tmp_path: Path) -> str:
    """A registry with a run "nightly", of the job 1, that was rejected."""
    run_id = run_resolve(registry, "job-1")
    assert run_id == "nightly"
    run_reject(registry, run_id, tmp_path)
    run_notify(registry, "job-1", "SUCCEEDED")
    assert read_records(registry, "nightly")[SUMMARY]["outcome"] == "rejected"
    return registry


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "RUNNING", "CANCELLED"])
def test_an_old_rejection_decides_nothing(
    rejected: str, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_records(rejected, "nightly")
    assert run_resolve(rejected, "job-2") == "job-2"
    said = capsys.readouterr().out
    assert "run_name 'nightly' has the records of an earlier run, which stay" in said
    assert "runs/job-2" in said
    run_notify(rejected, "job-2", state)
    summary = read_records(rejected, "job-2")[SUMMARY]
    assert summary["outcome"] in ("failed", "interrupted")
    assert set(summary["steps"]) == {"resolve"}
    assert read_records(rejected, "nightly") == before
    assert describe_run(rejected, "job-2")["outcome"] == summary["outcome"]


def test_a_run_whose_first_step_never_ran_is_not_judged_by_old_records(rejected: str) -> None:
    before = read_records(rejected, "nightly")
    run_notify(rejected, "job-2", "FAILED")
    assert read_records(rejected, "job-2")[SUMMARY]["outcome"] == "failed"
    assert read_records(rejected, "nightly") == before


def test_a_failure_of_a_later_run_is_its_own(rejected: str) -> None:
    with pytest.raises(SystemExit):
        run_resolve(rejected, "job-2", teachers=["7"])
    run_notify(rejected, "job-2", "FAILED")
    assert describe_run(rejected, "job-2")["failure"]["step"] == "resolve sources"
    assert describe_run(rejected, "nightly")["outcome"] == "rejected"


def test_a_step_that_is_tried_again_keeps_its_run(registry: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run_resolve(registry, "job-1", teachers=["7"])
    assert run_resolve(registry, "job-1") == "nightly"
    run_reject(registry, "nightly", tmp_path)
    run_notify(registry, "job-1", "SUCCEEDED")
    run_notify(registry, "job-1", "SUCCEEDED")
    summary = read_records(registry, "nightly")[SUMMARY]
    assert (summary["outcome"], summary["failure"]) == ("rejected", None)


def test_two_runs_at_once_keep_apart(registry: str, tmp_path: Path) -> None:
    assert (run_resolve(registry, "job-1"), run_resolve(registry, "job-2")) == ("nightly", "job-2")
    run_reject(registry, "job-2", tmp_path)
    run_notify(registry, "job-1", "SUCCEEDED")
    run_notify(registry, "job-2", "SUCCEEDED")
    outcomes = [read_records(registry, run)[SUMMARY]["outcome"] for run in ("nightly", "job-2")]
    assert outcomes == ["failed", "rejected"]


def test_records_from_before_names_had_owners_stay_too(registry: str) -> None:
    write_record(registry, "nightly", "reject", {"outcome": "rejected"})
    assert run_resolve(registry, "job-2") == "job-2"
    run_notify(registry, "job-2", "SUCCEEDED")
    assert read_records(registry, "job-2")[SUMMARY]["outcome"] == "failed"
    assert set(read_records(registry, "nightly")) == {"reject"}


def test_a_rollout_with_an_old_name_keeps_the_old_record(registry: str) -> None:
    write_record(registry, "back", "rollout", {"outcome": "rolled out", "version": 6})
    with pytest.raises(SystemExit):
        rollout.python_func(registry, 5.0, "", "local", {}, "back", "job-9", "fear", True)
    assert read_records(registry, "back")["rollout"]["version"] == 6
    assert "failure" not in read_records(registry, "back")
    assert read_records(registry, "job-9")["failure"]["step"] == "roll out"


def test_a_version_that_is_no_whole_number_is_refused(registry: str) -> None:
    with pytest.raises(SystemExit):
        rollout.python_func(registry, 5.5, "", "local", {}, "back", "job-9", "fear", True)
    message = read_records(registry, "back")["failure"]["message"]
    assert message == "setting version = 5.5: expected a whole number"


def test_without_a_name_the_job_is_the_run(registry: str) -> None:
    assert claim_run(registry, "", "job-1") == "job-1"
    assert claim_run(registry, "by-hand", "") == "by-hand"
    assert storage.list_names(registry) == []
    with pytest.raises(InputError, match=r"run id '\.\./x': expected at most"):
        claim_run(registry, "../x", "job-1")


def test_one_of_several_writers_creates_a_file(registry: str) -> None:
    uri = storage.join(registry, "folder", "file")
    assert [storage.create(uri, text) for text in (b"first", b"second")] == [True, False]
    assert storage.read_bytes(uri, 100) == b"first"
