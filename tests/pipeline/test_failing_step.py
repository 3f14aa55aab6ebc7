"""A step that fails: the command of the compiled pipeline, run as KFP's launcher runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.local import run as local_run
from emotion_ai.pipeline.local.processes import terminate_children_on_exit
from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.settings import RunSettings, load_environment, load_run_settings
from emotion_ai.registry.run_description import describe_run

from support.fake_prediction_server import fake_prediction_server

ARTIFACT = {"type": {"schemaTitle": "system.Artifact"}, "metadata": {}}


@pytest.fixture(scope="module")
def executors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    compile_pipeline(load_environment("cluster").compile, load_run_settings("cluster"), path)
    return next(yaml.safe_load_all(path.read_text()))["deploymentSpec"]["executors"]


def run_step(
    container: dict[str, Any], folder: Path, inputs: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    """Run a step's command; its log has both streams, as that of a pod."""
    outputs = {"outputFile": str(folder / "executor_output.json")}
    given = json.dumps({"inputs": inputs, "outputs": outputs})
    arguments = [given if text == "{{$}}" else text for text in container["args"]]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [*container["command"], *arguments],
        env=os.environ | variables | {"PATH": path, "TMPDIR": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def test_last_line_of_the_log_is_the_reason_and_the_run_names_the_step(
    executors: dict[str, Any], tmp_path: Path
) -> None:
    report = tmp_path / "verdict"
    report.write_text('{"outcome": "accepted"}')
    registry = tmp_path / "registry"
    artifact = ARTIFACT | {"name": "verdict", "uri": str(report)}
    result = run_step(
        executors["exec-reject-2"]["container"],
        tmp_path,
        {
            "parameterValues": {"registry": str(registry), "run_id": "nightly"},
            "artifacts": {"report": {"artifacts": [artifact]}},
        },
    )
    reason = f"{report}: outcome is 'accepted'; expected 'rejected'"
    assert result.returncode == 2
    assert result.stdout.splitlines()[-1] == f"emotion-ai: error (exit code 2): {reason}"
    assert describe_run(str(registry), "nightly")["failure"] == {
        "step": "reject candidate",
        "message": reason,
        "exit_code": 2,
    }


def test_a_run_on_this_machine_tries_no_step_again(tmp_path: Path) -> None:
    environment = tmp_path / "environment.yaml"
    environment.write_text("compile: {retries: 2}")
    settings = load_run_settings(str(environment))
    spec = local_run._compile(str(environment), settings, tmp_path / "pipeline.yaml")
    assert "retryPolicy" not in str(spec)


@dsl.component(base_image="python", install_kfp_package=False)
def chatter() -> None:
    import sys

    for line in range(1_000):
        sys.stdout.write(f"line {line} of a step that prints more than a buffer holds\n")


@dsl.pipeline(name="chatting")
def chatting(run_name: str) -> None:
    chatter()


def test_a_run_whose_log_cannot_be_written_fails_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_chatting(environment: str, settings: RunSettings, path: Path) -> dict[str, Any]:
        path.parent.mkdir(parents=True)
        compiler.Compiler().compile(chatting, str(path))
        return next(yaml.safe_load_all(path.read_text()))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(local_run, "_compile", compile_chatting)
    monkeypatch.setattr(local_run, "_log_path", lambda run_id: Path("/dev/full"))
    with terminate_children_on_exit():
        monitor = local_run._run_dag(
            RunSettings(), "local", "run-1", lambda step: None, "subprocess"
        )
    assert monitor.failure
    assert monitor.failure.message == "/dev/full or standard output: No space left on device"


def test_settings_of_a_step_arrive_as_kfp_sends_them(
    executors: dict[str, Any], tmp_path: Path
) -> None:
    parameters = {
        **training_parameters(RunSettings()),
        "registry": str(tmp_path / "registry"),
        "run_name": "2026",
        "job_id": "6f1c",
        "seed": 7.0,
        "gate": {"keypoints": {"rmse_px": 2.0}},
        "teachers": ["pretrained", 3.0],
        "rollout_settings": {"canary": {"min_requests": 50.0}},
    }
    container = executors["exec-resolve"]["container"]
    with fake_prediction_server() as server:
        parameters["server"] = server.address
        result = run_step(container, tmp_path, {"parameterValues": parameters})
    last = result.stdout.splitlines()[-1]
    assert last.startswith("emotion-ai: error (exit code 2): teachers '3': expected pretrained")
    assert describe_run(parameters["registry"], "2026")["failure"]["step"] == "resolve sources"
