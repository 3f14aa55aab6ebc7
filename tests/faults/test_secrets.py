"""Secrets of the environment are in no log, artifact, report or compiled pipeline."""

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
STEPS_SCRIPT = """
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare
from emotion_ai.registry.runs import write_record
from emotion_ai.steps.resolve.run import run as resolve

drawn = "sample://21"
resolved = resolve(drawn, drawn, "registry", "run-1", {"seed": 1})
for kind in ("keypoints", "expression"):
    fingerprint = getattr(resolved, f"{kind}_fingerprint")
    outputs = [f"{kind}/{name}" for name in ("faces", "report.html", "statistics.json")]
    ingest("sample://21", fingerprint, kind, "fer7", "", {}, *outputs)
    prepare(outputs[0], {}, f"{kind}/prepared", f"{kind}/preview.html")
"""


@pytest.fixture
def secret_environment(tmp_path: Path) -> dict[str, str]:
    """Environment variables with a secret, and the path of credentials with another one."""
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
    secrets = {"GOOGLE_APPLICATION_CREDENTIALS": str(credentials), "API_TOKEN": IN_VARIABLE}
    # With an emulator, no credentials would be read.
    inherited = {k: v for k, v in os.environ.items() if k != "STORAGE_EMULATOR_HOST"}
    return inherited | secrets


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def run_python(folder: Path, environment: dict[str, str], *command: str) -> Any:
    """Run Python in the folder, and write its output there too."""
    result = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    (folder / "output").write_text(result.stdout + result.stderr)
    return result


def files_with_secrets(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        assert path.name not in (IN_VARIABLE, IN_FILE)
        if path.is_file():
            data = path.read_bytes()
            if IN_VARIABLE.encode() in data or IN_FILE.encode() in data:
                yield path


def test_compiled_pipeline_has_no_secrets(folder: Path, secret_environment: dict[str, str]) -> None:
    result = run_python(
        folder,
        secret_environment,
        "-m",
        "emotion_ai.pipeline.cli",
        "compile",
        "-o",
        "pipeline.yaml",
    )
    assert result.returncode == 0
    assert (folder / "pipeline.yaml").stat().st_size > 10_000
    assert list(files_with_secrets(folder)) == []


def test_data_steps_write_no_secrets(folder: Path, secret_environment: dict[str, str]) -> None:
    result = run_python(folder, secret_environment, "-c", STEPS_SCRIPT)
    assert result.returncode == 0, result.stderr
    assert (folder / "registry/runs/run-1/resolve.json").exists()
    assert len(list(folder.rglob("*.html"))) == 4
    assert list(files_with_secrets(folder)) == []


@pytest.mark.parametrize("command", ["describe", "rollout"])
def test_refused_credentials_are_not_in_the_message(
    folder: Path, secret_environment: dict[str, str], command: str
) -> None:
    arguments = [command, "--registry", "gs://faces/models", *(["1"] * (command == "rollout"))]
    result = run_python(folder, secret_environment, "-m", "emotion_ai.pipeline.cli", *arguments)
    assert result.returncode == 1
    assert "gs://faces/models" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(files_with_secrets(folder)) == []


@pytest.mark.slow
def test_whole_run_writes_no_secrets(folder: Path, secret_environment: dict[str, str]) -> None:
    sources = ("--keypoints", "sample://420?seed=3", "--expression", "sample://420?seed=3")
    options = ("--preset", str(TINY), "--force-accept", "run for the test", "--json")
    result = run_python(
        folder, secret_environment, "-m", "emotion_ai.pipeline.cli", "run", *sources, *options
    )
    assert result.returncode == 0, result.stderr
    assert (folder / "registry/1/saved_model.pb").exists()
    assert list((folder / ".emotion-ai/logs").glob("*.log"))
    assert list(files_with_secrets(folder)) == []
