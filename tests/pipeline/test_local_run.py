"""Whole runs of the compiled DAG on this machine, one after another in one folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import list_versions, read_release
from emotion_ai.registry.runs import read_records
from emotion_ai.server.process import running_server

pytestmark = pytest.mark.slow

TINY = Path(__file__).with_name("tiny.yaml")
FORCE_REASON = "run for the test"
CACHED = {
    "ingest keypoints",
    "ingest expression",
    "prepare keypoints",
    "prepare expression",
    "train keypoints",
    "train expression",
    "combine",
    "validate",
}


def emotion_ai(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    sources = ("--keypoints", "keypoints.csv", "--expression", "expression.csv")
    result = emotion_ai(folder, "run", *sources, "--json", "--preset", str(TINY), *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def states(outcome: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in outcome["steps"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    assert emotion_ai(path, "sample-data", ".", "--faces", "420").returncode == 0
    return path


@pytest.fixture(scope="module")
def first_run(folder: Path) -> dict[str, Any]:
    """Run in an empty folder; two epochs train little, so the gate is overridden."""
    return run(folder, "--force-accept", FORCE_REASON)


def test_run_locally_publishes_a_release_that_predicts(
    folder: Path, first_run: dict[str, Any]
) -> None:
    assert (first_run["outcome"], first_run["release"], first_run["champion"]) == ("accepted", 1, 1)
    assert set(states(first_run).values()) == {"done"}
    assert [answer["model_version"] for answer in first_run["answers"]] == [1] * 7
    assert all(len(answer["keypoints"]) == 15 for answer in first_run["answers"])
    assert first_run["settings"]["training"]["expression"]["epochs"] == 2
    release = read_release(str(folder / "registry"), 1)
    assert release.gate.forced in (FORCE_REASON, "")
    assert release.data["expression"].source.endswith("expression.csv")
    assert release.parent is None
    page = Path(first_run["report"])
    assert page.is_file()
    reports = {path.stem for path in (page.parent / "reports").glob("*.html")}
    assert {"evaluation", "keypoint-data", "expression-preview", "validation"} <= reports


def test_run_locally_caches_an_identical_run_and_publishes_no_release(
    folder: Path, first_run: dict[str, Any]
) -> None:
    again = run(folder, "--force-accept", FORCE_REASON)
    assert {name for name, state in states(again).items() if state == "cached"} >= CACHED
    assert again["release"] == first_run["release"] == 1
    assert list_versions(str(folder / "registry")) == [1]


def test_run_locally_records_a_rejection_and_keeps_the_registry(
    folder: Path, first_run: dict[str, Any], tmp_path: Path
) -> None:
    strict = tmp_path / "strict.yaml"
    strict.write_text(TINY.read_text().replace("expression: {}", "expression: {accuracy: 0.999}"))
    before = (folder / "registry/models.config").read_bytes()
    outcome = run(folder, "--preset", str(strict))
    assert outcome["outcome"] == "rejected"
    assert any("99.9 %" in reason for reason in outcome["reasons"])
    assert (folder / "registry/models.config").read_bytes() == before
    assert list_versions(str(folder / "registry")) == [1]
    records = read_records(str(folder / "registry"), outcome["run_id"])
    assert records["reject"]["outcome"] == "rejected"
    assert records["run"]["outcome"] == "rejected"
    assert states(outcome)["reject candidate"] == "done"
    assert "push" not in states(outcome)


def test_run_locally_records_a_failed_step_and_keeps_the_registry(
    folder: Path, first_run: dict[str, Any]
) -> None:
    broken = folder / "broken.csv"
    header, *rows = (folder / "expression.csv").read_text().splitlines()
    broken.write_text("\n".join([header, *(row.replace(" ", " x", 1) for row in rows)]))
    before = sorted(p.name for p in (folder / "registry").iterdir())
    arguments = ("--keypoints", "keypoints.csv", "--expression", "broken.csv")
    result = emotion_ai(folder, "run", *arguments, "--preset", str(TINY))
    assert result.returncode == 2
    assert "broken.csv" in result.stderr
    assert "pixels" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(p.name for p in (folder / "registry").iterdir()) == before
    assert read_champion(str(folder / "registry")) == 1
    runs = sorted((folder / "registry/runs").iterdir())
    summary = json.loads((runs[-1] / "run.json").read_text())
    assert summary["outcome"] == "failed"
    assert summary["message"].startswith("step ingest expression: ")
    assert "pixels" in summary["message"]
    assert "step ingest expression: " in (runs[-1] / "index.html").read_text()


def test_run_locally_trains_after_one_changed_pixel_and_scores_the_champion_again(
    folder: Path, first_run: dict[str, Any]
) -> None:
    source = folder / "expression.csv"
    header, row, *rest = source.read_text().splitlines(keepends=True)
    emotion, pixels, usage = row.split(",")
    values = pixels.split(" ")
    values[0] = str((int(values[0]) + 1) % 256)
    source.write_text("".join([header, ",".join([emotion, " ".join(values), usage]), *rest]))
    outcome = run(folder, "--force-accept", FORCE_REASON)
    assert states(outcome)["train expression"] == "done"
    assert states(outcome)["train keypoints"] == "cached"
    assert (outcome["release"], outcome["champion"]) == (2, 2)
    assert outcome["gate"]["champion"] == 1
    compared = [c for c in outcome["gate"]["checks"] if c["comparison"] == "champion"]
    assert {check["name"].split("/")[0] for check in compared} == {"expression", "keypoints"}
    assert read_release(str(folder / "registry"), 2).parent == 1


def test_rollout_moves_back_and_forth_and_describe_reports_it(
    folder: Path, first_run: dict[str, Any]
) -> None:
    registry = str(folder / "registry")
    versions = list_versions(registry)
    assert versions == [1, 2]
    face = str(sorted((folder / ".emotion-ai/runs").glob("*/faces/*.png"))[0])
    with running_server(registry, folder / "server.log") as address:
        for version in (1, 2):
            moved = emotion_ai(
                folder, "rollout", str(version), "--registry", registry, "--server", address
            )
            assert moved.returncode == 0, moved.stderr
            assert read_champion(registry) == version
            predicted = emotion_ai(folder, "predict", face, "--faces", "whole", "--server", address)
            assert json.loads(predicted.stdout)["faces"][0]["model_version"] == version
        description = emotion_ai(folder, "describe", "--server", address)
        assert "* the champion" in description.stdout
        assert "AVAILABLE" in description.stdout
    one = emotion_ai(folder, "describe", "1")
    assert FORCE_REASON in one.stdout or "checks passed" in one.stdout


def test_run_locally_leaves_no_process_behind(folder: Path, first_run: dict[str, Any]) -> None:
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(folder) not in running


def test_run_locally_trains_a_subset_of_emotions_from_the_champion(
    folder: Path, first_run: dict[str, Any]
) -> None:
    options = ("--emotions", "happy,sad,neutral", "--init", "champion")
    outcome = run(folder, *options, "--force-accept", FORCE_REASON)
    release = read_release(str(folder / "registry"), outcome["release"])
    assert {record["start"].rpartition("/")[2] for record in release.training.values()} == {"2"}
    assert set(outcome["answers"][0]["probabilities"]) == {"happy", "sad", "neutral"}
    compared = [c for c in outcome["gate"]["checks"] if c["comparison"] == "champion"]
    assert {check["name"].split("/")[0] for check in compared} == {"keypoints"}
