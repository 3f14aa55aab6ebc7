"""The pipeline of one step that goes back to a release, run by KFP on a real server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_ai.pipeline.parameters import rollout_parameters
from emotion_ai.pipeline.settings import load_run_settings
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.run_description import describe_run
from emotion_ai.registry.runs import read_records
from emotion_ai.server.process import running_server

from support.kfp_server_rule import refusals

ROOT = Path(__file__).parents[2]
RUN = """
import json, sys
from kfp import local
from kfp.components import load_component_from_file
path, folder, arguments = sys.argv[1:]
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=folder)
load_component_from_file(path)(**json.loads(arguments))
"""


def compile_with(*command: str, output: Path) -> dict[str, Any]:
    subprocess.run([*command, str(output)], cwd=ROOT, check=True, capture_output=True)
    return next(yaml.safe_load_all(output.read_text()))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled by the kfp command of the README."""
    path = tmp_path_factory.mktemp("compiled") / "emotion-ai-rollout.yaml"
    kfp = str(Path(sys.executable).with_name("kfp"))
    compile_with(kfp, "dsl", "compile", "--py", "pipeline/rollout.py", "--output", output=path)
    return path


@pytest.fixture(scope="module")
def spec(compiled: Path) -> dict[str, Any]:
    return next(yaml.safe_load_all(compiled.read_text()))


def test_compiled_by_emotion_ai_it_is_the_same(compiled: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "compile", "--pipeline", "rollout"]
    output = tmp_path / "emotion-ai-rollout.yaml"
    compile_with(*command, "-o", output=output)
    assert output.read_bytes() == compiled.read_bytes()


def test_version_and_reason_have_no_default(spec: dict[str, Any]) -> None:
    declared = spec["root"]["inputDefinitions"]["parameters"]
    defaults = {
        name: value["defaultValue"] for name, value in declared.items() if "defaultValue" in value
    }
    assert set(declared) - set(defaults) == {"version", "reason"}
    assert defaults == rollout_parameters(load_run_settings("cluster")) | {"run_name": ""}
    assert sorted(refusals({}, spec)) == ["reason: no value", "version: no value"]
    assert refusals({"version": 3, "reason": "7 is worse"}, spec) == []
    # What the command line makes of digits.
    assert refusals({"version": 3, "reason": 7}, spec) != []


def test_its_only_step_is_never_cached_or_retried(spec: dict[str, Any]) -> None:
    (task,) = spec["root"]["dag"]["tasks"].values()
    assert task["taskInfo"]["name"] == "roll out"
    assert not task.get("cachingOptions", {}).get("enableCache")
    assert "retryPolicy" not in task
    parameters = task["inputs"]["parameters"]
    assert parameters["may_go_back"]["runtimeValue"]["constant"] is True


def test_it_goes_back_and_records_why(compiled: Path, tmp_path: Path) -> None:
    from support.tiny_saved_model import publish_tiny_release

    registry = tmp_path / "registry"
    registry.mkdir()
    versions = [publish_tiny_release(registry, tmp_path, shift, shift) for shift in (1.0, 2.0)]
    with running_server(str(registry), tmp_path / "server.log") as address:

        def run(version: int, name: str, reason: str) -> subprocess.CompletedProcess[str]:
            arguments = {
                "version": version,
                "reason": reason,
                "registry": str(registry),
                "run_name": name,
                "target": "local",
                "server": address,
                "rollout_settings": {},
            }
            command = [sys.executable, "-c", RUN, str(compiled), str(tmp_path / "kfp")]
            return subprocess.run(
                [*command, json.dumps(arguments)], capture_output=True, text=True, timeout=300
            )

        for version in (versions[1], versions[0]):
            run(version, f"to-{version}", f"{version} is better")
            assert read_champion(str(registry)) == version
        record = read_records(str(registry), f"to-{versions[0]}")["rollout"]
        assert (record["version"], record["previous"]) == (versions[0], versions[1])
        assert (record["outcome"], record["reason"]) == ("rolled out", f"{versions[0]} is better")
        description = describe_run(str(registry), f"to-{versions[0]}")
        assert (description["outcome"], description["failure"]) == ("rolled out", None)
        assert f"{versions[0]} is better" in description["message"]

        result = run(versions[1], "why", " ")
        assert "reason is empty: say why release" in result.stdout + result.stderr
        assert read_champion(str(registry)) == versions[0]
        assert describe_run(str(registry), "why")["failure"]["step"] == "roll out"
