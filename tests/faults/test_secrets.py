"""What the environment keeps secret is in no log, artifact, report or compiled pipeline."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parents[1] / "pipeline" / "tiny.yaml"
IN_VARIABLE = "variable-kept-secret-4a1c"
IN_FILE = "file-kept-secret-93be"
MADE_BY_STEPS = """
from emotion_ai.steps.ingest.run import ingest
from emotion_ai.steps.prepare.run import prepare
from emotion_ai.registry.runs import write_record
from emotion_ai.steps.resolve.run import resolve_sources

drawn = "sample://21"
resolved = resolve_sources(drawn, drawn, "registry", "run-1", {"seed": 1})
for kind in ("keypoints", "expression"):
    fingerprint = getattr(resolved, f"{kind}_fingerprint")
    outputs = [f"{kind}/{name}" for name in ("faces", "report.html", "statistics.json")]
    ingest("sample://21", fingerprint, kind, "fer7", "", {}, *outputs)
    prepare(outputs[0], {}, f"{kind}/prepared", f"{kind}/preview.html")
"""


@pytest.fixture
def secretive(tmp_path: Path) -> dict[str, str]:
    """An environment with a secret in a variable and another in a file of credentials."""
    credentials = tmp_path / "credentials.json"
    key = f"-----BEGIN PRIVATE KEY-----\n{IN_FILE}\n-----END PRIVATE KEY-----\n"
    account = {
        "type": "service_account",
        "project_id": "faces",
        "private_key_id": IN_FILE,
        "private_key": key,
        "client_email": "trainer@example.com",
        "token_uri": "http://127.0.0.1:9/token",
    }
    credentials.write_text(json.dumps(account))
    named = {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials), "API_TOKEN": IN_VARIABLE}
    # With an emulator named, no credentials would be read.
    inherited = {k: v for k, v in os.environ.items() if k != "STORAGE_EMULATOR_HOST"}
    return inherited | named


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def told(folder: Path, environment: dict[str, str], *command: str) -> Any:
    """Run Python there; what it prints lies in the folder besides what it writes."""
    result = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    (folder / "printed").write_text(result.stdout + result.stderr)
    return result


def secrets_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        assert path.name not in (IN_VARIABLE, IN_FILE)
        if path.is_file():
            data = path.read_bytes()
            if IN_VARIABLE.encode() in data or IN_FILE.encode() in data:
                yield path


def test_the_compiled_pipeline_tells_no_secret(folder: Path, secretive: dict[str, str]) -> None:
    result = told(
        folder, secretive, "-m", "emotion_ai.pipeline.cli", "compile", "-o", "pipeline.yaml"
    )
    assert result.returncode == 0
    assert (folder / "pipeline.yaml").stat().st_size > 10_000
    assert list(secrets_in(folder)) == []


def test_the_data_steps_tell_no_secret(folder: Path, secretive: dict[str, str]) -> None:
    result = told(folder, secretive, "-c", MADE_BY_STEPS)
    assert result.returncode == 0, result.stderr
    assert (folder / "registry/runs/run-1/resolve.json").exists()
    assert len(list(folder.rglob("*.html"))) == 4
    assert list(secrets_in(folder)) == []


@pytest.mark.parametrize("command", ["describe", "rollout"])
def test_credentials_that_are_refused_are_not_repeated(
    folder: Path, secretive: dict[str, str], command: str
) -> None:
    arguments = [command, "--registry", "gs://faces/models", *(["1"] * (command == "rollout"))]
    result = told(folder, secretive, "-m", "emotion_ai.pipeline.cli", *arguments)
    assert result.returncode == 1
    assert "gs://faces/models" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(secrets_in(folder)) == []


@pytest.mark.slow
def test_a_whole_run_tells_no_secret(folder: Path, secretive: dict[str, str]) -> None:
    sources = ("--keypoints", "sample://420?seed=3", "--expression", "sample://420?seed=3")
    options = ("--preset", str(TINY), "--force-accept", "run for the test", "--json")
    result = told(folder, secretive, "-m", "emotion_ai.pipeline.cli", "run", *sources, *options)
    assert result.returncode == 0, result.stderr
    assert (folder / "registry/1/saved_model.pb").exists()
    assert list((folder / ".emotion-ai/logs").glob("*.log"))
    assert list(secrets_in(folder)) == []
