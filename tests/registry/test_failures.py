"""The record of a failed step, and the description of a run by its records."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.failures import FAILURE, STEP_VARIABLE, record_failure
from emotion_ai.registry.run_description import describe_run
from emotion_ai.registry.runs import read_records, write_record


def fail(registry: str, failure: Exception, step: str = "push") -> None:
    with pytest.raises(type(failure)), record_failure(registry, "run-1", step):
        raise failure


def test_failure_is_recorded_with_the_name_of_its_step(
    registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(registry, InputError("gate:\nnot JSON"))
    expected = {"step": "push", "message": "gate: not JSON", "exit_code": 2}
    assert read_records(registry, "run-1") == {FAILURE: expected}
    monkeypatch.setenv(STEP_VARIABLE, "reject candidate")
    fail(registry, KeyError("outcome"), "reject")
    expected = {"step": "reject candidate", "message": "KeyError: 'outcome'", "exit_code": 1}
    assert read_records(registry, "run-1") == {FAILURE: expected}


def test_success_removes_the_failure_of_the_same_step_alone(registry: str) -> None:
    fail(registry, Unavailable("no answer"))
    with record_failure(registry, "run-1", "record reports"):
        pass
    assert FAILURE in read_records(registry, "run-1")
    with record_failure(registry, "run-1", "push"):
        pass
    assert read_records(registry, "run-1") == {}


def test_failure_is_told_where_the_registry_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    fail(str(tmp_path), Unavailable("the step's own reason"))


def test_describe_run_names_the_failed_step_of_an_unfinished_run(registry: str) -> None:
    write_record(registry, "run-1", "resolve", {"champion": ""})
    assert describe_run(registry, "run-1")["message"] == "it is still going on, or was killed"
    fail(registry, Unavailable("no answer"))
    description = describe_run(registry, "run-1")
    assert description["outcome"] == "unfinished"
    assert description["failure"]["step"] == "push"
    assert description["message"].endswith("was killed; step push: no answer")


def test_describe_run_names_runs_that_there_are(registry: str) -> None:
    with pytest.raises(InputError, match="expected a registry"):
        describe_run(registry, "run-1")
    for number in range(7):
        write_record(registry, f"run-{number}", "resolve", {})
    with pytest.raises(InputError, match=r"expected one of run-6, .*, run-2, \.\.\."):
        describe_run(registry, "run-7")
