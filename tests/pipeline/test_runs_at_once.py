"""Runs at once in one folder: each works on its own sources, settings and registry."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from emotion_ai.pipeline.local import run as local_run
from emotion_ai.registry.runs import read_records
from emotion_ai.sources.uri import fingerprint

from support.face_csv import keypoint_cells, write_expression, write_keypoints

RUNS = 10


def test_no_two_runs_have_a_file_in_common() -> None:
    paths = [local_run._run_folder(run) for run in ("a", "b")]
    assert paths[0] != paths[1]
    assert all(local_run.WORKSPACE in path.parents for path in paths)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources for each run: keypoints that can be read, and one face too few pixels."""
    for number in range(RUNS):
        # Each has other pixels, so that none takes a step of another one from the cache.
        write_keypoints(tmp_path / f"keypoints-{number}.csv", keypoint_cells(2 + number))
        source = write_expression(tmp_path / f"expression-{number}.csv", [0] * (2 + number))
        source.write_text(f"emotion,pixels\n{number % 7},1 2 3\n")
    return tmp_path


def start(folder: Path, number: int) -> subprocess.Popen[str]:
    arguments = {
        "--keypoints": f"keypoints-{number}.csv",
        "--expression": f"expression-{number}.csv",
        "--registry": f"registry-{number}",
        "--seed": str(100 + number),
    }
    words = [word for pair in arguments.items() for word in pair]
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "run", *words]
    return subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


@pytest.mark.slow
def test_ten_runs_at_once_each_have_their_own_pipeline_log_and_record(folder: Path) -> None:
    """Each ends in one of its first steps, at a mistake in its own source."""
    processes = [start(folder, number) for number in range(RUNS)]
    errors = [process.communicate(timeout=900)[1] for process in processes]
    for number, (process, error) in enumerate(zip(processes, errors, strict=True)):
        assert process.returncode == 2, error
        others = {f"-{other}.csv" for other in range(RUNS) if other != number}
        assert f"-{number}.csv" in error
        assert not any(name in error for name in others), error
        registry = str(folder / f"registry-{number}")
        (run,) = (path.name for path in Path(registry, "runs").iterdir())
        records = read_records(registry, run)
        assert records["run"]["outcome"] == "failed"
        resolved = records["resolve"]
        assert resolved["settings"]["seed"] == 100 + number
        assert resolved["keypoints"] == str(folder / f"keypoints-{number}.csv")
        assert resolved["expression_fingerprint"] == fingerprint(resolved["expression"])
        log = (folder / f".emotion-ai/logs/{run}.log").read_text()
        assert not any(name in log for name in others)
        compiled = (folder / f".emotion-ai/runs/{run}/pipeline.yaml").read_text()
        inputs = next(yaml.safe_load_all(compiled))["root"]["inputDefinitions"]["parameters"]
        assert inputs["registry"]["defaultValue"] == registry
    assert len([*(folder / ".emotion-ai/runs").iterdir()]) == RUNS
