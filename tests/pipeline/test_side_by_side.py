"""Steps of a local run that wait for nothing run side by side, through KFP's own runner."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from emotion_ai.pipeline.local import side_by_side
from emotion_ai.pipeline.local.progress import RunMonitor, capture_run
from emotion_ai.pipeline.local.side_by_side import run_side_by_side

step = dsl.component(base_image="python", install_kfp_package=False)


@step
def meet(folder: str, name: str, other: str, wait_s: float) -> None:
    """Leave a file, and wait for the other's; fail if it does not come."""
    import pathlib
    import sys
    import time

    pathlib.Path(folder, name).touch()
    deadline = time.monotonic() + wait_s
    while not pathlib.Path(folder, other).exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"emotion-ai: error (exit code 1): {name} waited for {other}")
        time.sleep(0.01)
    for line in range(50):
        sys.stdout.write(f"{name} {line}\n")


@step
def after(folder: str, name: str) -> None:
    import pathlib

    pathlib.Path(folder, name).touch()


@step
def end(status: dsl.PipelineTaskFinalStatus) -> None:
    import sys

    sys.stdout.write(status.state)


def run(pipeline: Callable[..., Any], folder: Path, cores: int) -> tuple[RunMonitor, str]:
    """Run a pipeline as `emotion-ai run` does, on a machine of so many cores."""
    log = io.StringIO()
    monitor = RunMonitor({}, log, lambda step: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_by_side, "available_cores", lambda: cores)
        with capture_run(monitor), run_side_by_side():
            local.init(
                local.SubprocessRunner(use_venv=False),
                pipeline_root=str(folder / "artifacts"),
                raise_on_error=False,
            )
            pipeline(folder=str(folder))
    return monitor, log.getvalue()


@dsl.pipeline(name="meeting")
def meeting(folder: str, wait_s: float = 60.0) -> None:
    with dsl.ExitHandler(end()):
        one = meet(folder=folder, name="one", other="two", wait_s=wait_s).set_display_name("one")
        two = meet(folder=folder, name="two", other="one", wait_s=wait_s).set_display_name("two")
        after(folder=folder, name="after").after(one, two)


@dsl.pipeline(name="waiting in vain")
def in_vain(folder: str) -> None:
    with dsl.ExitHandler(end()):
        meet(folder=folder, name="one", other="none", wait_s=0.0)
        two = meet(folder=folder, name="two", other="one", wait_s=60.0)
        after(folder=folder, name="after").after(two)


def states(monitor: RunMonitor) -> dict[str, str]:
    return {step.name: step.state for step in monitor.steps}


def test_steps_that_wait_for_nothing_run_at_the_same_time(tmp_path: Path) -> None:
    # Neither ends without the other.
    monitor, log = run(meeting, tmp_path, cores=2)
    assert states(monitor) == dict.fromkeys(["meet", "meet-2", "after", "end"], "done")
    assert monitor.failure is None
    lines = {step.name: step.lines for step in monitor.steps}
    assert "one 49" in lines["meet"]
    assert "two 49" in lines["meet-2"]
    # The log has each line once, with the step that printed it.
    for name, step_name in (("one", "meet"), ("two", "meet-2")):
        for line in range(50):
            assert log.count(f"{step_name:<19} {name} {line}\n") == 1


def test_one_core_runs_one_step_at_a_time(tmp_path: Path) -> None:
    monitor, _ = run(lambda folder: meeting(folder=folder, wait_s=0.5), tmp_path, cores=1)
    # The first one waits in vain.
    assert sorted([states(monitor)["meet"], states(monitor)["meet-2"]]) == ["done", "failed"]
    assert not (tmp_path / "after").exists()


def test_other_branch_goes_on_when_a_step_fails(tmp_path: Path) -> None:
    monitor, log = run(in_vain, tmp_path, cores=2)
    assert states(monitor) == {"meet": "failed", "meet-2": "done", "after": "done", "end": "done"}
    assert monitor.failure
    assert monitor.failure.message == "one waited for none"
    assert monitor.failure.step is monitor.steps[[s.name for s in monitor.steps].index("meet")]
    assert "FAILED" in log


@dsl.pipeline(name="waiting")
def waiting(folder: str) -> None:
    with dsl.ExitHandler(end()):
        meet(folder=folder, name="one", other="none", wait_s=60.0)
        meet(folder=folder, name="two", other="none", wait_s=60.0)


PROGRAM = """
import sys
from pathlib import Path

from emotion_ai.pipeline.local.processes import (
    terminate_children_on_exit,
    terminate_steps_on_error,
)
from test_side_by_side import run, waiting

def terminated(folder):
    with terminate_steps_on_error():
        waiting(folder=folder)

with terminate_children_on_exit():
    run(terminated, Path(sys.argv[1]), cores=2)
"""


def test_interrupted_run_ends_the_steps_beside_it_too(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while not ((tmp_path / "one").exists() and (tmp_path / "two").exists()):
            assert process.poll() is None, process.stdout and process.stdout.read()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    # What KFP's threads say of the steps that were ended does not come to the terminal.
    assert "FAILURE" not in output
    assert not running_with(str(tmp_path))


def test_run_that_fails_does_not_wait_for_a_step_that_starts_as_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(side_by_side, "_PATIENCE_SECONDS", 0.1)
    ends, started, ended = threading.Event(), threading.Event(), threading.Event()

    def run_step(**call: Any) -> Any:
        started.set()
        ends.wait(60)
        ended.set()

    monkeypatch.setattr(side_by_side.enhanced_dag_orchestrator, "execute_task", run_step)

    def interrupted_run() -> None:
        with run_side_by_side():
            steps = side_by_side.enhanced_dag_orchestrator.execute_task
            steps._start({"io_store": None, "task_name": "late"})
            assert started.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_run()
    assert not ended.is_set()
    ends.set()
    assert side_by_side.enhanced_dag_orchestrator.execute_task is run_step


def running_with(text: str) -> list[str]:
    """The command lines of running processes that have a text in them, but for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found
