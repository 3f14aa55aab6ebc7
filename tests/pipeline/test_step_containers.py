"""What a step's container may and sees in a local run: storage, credentials, network, limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.local.containers import step_arguments
from emotion_ai.pipeline.policy import STEPS
from emotion_ai.pipeline.settings import load_environment, load_run_settings

ENGINE = {"MemoryLimit": True, "PidsLimit": True, "SecurityOptions": []}
# They work on artifacts alone.
WITHOUT_STORAGE = {"prepare", "combine", "validate"}


def arguments_of(
    folder: Path, registry: str, resources: str = "{}", engine: Mapping[str, Any] = ENGINE
) -> dict[str, dict[str, Any]]:
    """The arguments of each step's container in a run with this registry."""
    environment = folder / "environment.yaml"
    environment.write_text(f"compile: {{resources: {resources}}}\nrun: {{registry: {registry}}}\n")
    sources = {
        "keypoints": str(folder / "keypoints.csv"),
        "expression": str(folder / "expression.csv"),
        "checkpoints": str(folder / "checkpoints"),
    }
    for name in ("keypoints", "expression"):
        Path(sources[name]).touch()
    settings = load_run_settings(str(environment), "", sources)
    compiled = folder / "pipeline.yaml"
    compile_pipeline(load_environment(str(environment)).compile, settings, compiled)
    spec = next(yaml.safe_load_all(compiled.read_text()))
    containers = [e["container"] for e in spec["deploymentSpec"]["executors"].values()]
    functions = step_arguments(engine, settings, containers)
    steps = {function.replace("_", "-"): found for function, found in functions.items()}
    assert steps.keys() == STEPS.keys()
    return steps


def mounts(arguments: dict[str, Any]) -> dict[str, bool]:
    """Whether each mounted path is read-only."""
    return {mount["Target"]: mount["ReadOnly"] for mount in arguments.get("mounts", [])}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of an account, which the environment names."""
    path = tmp_path / "key.json"
    path.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    return str(path)


def test_credentials_are_in_the_steps_alone_that_use_a_remote_storage(
    tmp_path: Path, key: str
) -> None:
    steps = arguments_of(tmp_path, "gs://models/emotion-ai")
    with_key = {step for step, found in steps.items() if key in mounts(found)}
    assert with_key == STEPS.keys() - WITHOUT_STORAGE
    for step, found in steps.items():
        named = "GOOGLE_APPLICATION_CREDENTIALS" in found.get("environment", {})
        assert named == (step in with_key), step
        assert mounts(found).get(key, True), step
        assert found["network_mode"] == ("host" if step in with_key else "none"), step


def test_no_step_has_credentials_where_all_data_is_on_this_machine(
    tmp_path: Path, key: str
) -> None:
    for step, found in arguments_of(tmp_path, str(tmp_path / "registry")).items():
        assert key not in mounts(found), step
        assert found.get("environment", {}) == {}, step
        assert found["network_mode"] == ("host" if step in ("resolve", "rollout") else "none"), step


def test_storage_is_mounted_for_the_steps_that_use_it(tmp_path: Path) -> None:
    steps = arguments_of(tmp_path, str(tmp_path / "registry"))
    names = ("registry", "checkpoints", "keypoints.csv", "expression.csv")
    expected = {str(tmp_path / name): name.endswith(".csv") for name in names}
    for step, found in steps.items():
        assert mounts(found) == ({} if step in WITHOUT_STORAGE else expected), step


def test_limits_are_those_of_the_compiled_pipeline(tmp_path: Path) -> None:
    changed = "{ingest: {memory: 300M}, train-keypoints: {memory_limit: 3Gi}}"
    steps = arguments_of(tmp_path, str(tmp_path / "registry"), changed)
    limits = {step: found["mem_limit"] for step, found in steps.items()}
    assert limits["ingest"] == 300_000_000
    assert limits["train-keypoints"] == 3 * 2**30
    assert limits["train-expression"] == 4_000_000_000
    assert limits["resolve"] == 1_000_000_000
    for step, found in steps.items():
        # With more, the rest would be swap.
        assert found["memswap_limit"] == found["mem_limit"], step
        assert 0 < found["pids_limit"] <= 4096, step


@pytest.mark.parametrize("lacking", ["MemoryLimit", "PidsLimit"])
def test_limits_that_an_engine_cannot_set_are_left_out(tmp_path: Path, lacking: str) -> None:
    steps = arguments_of(tmp_path, str(tmp_path / "registry"), engine=ENGINE | {lacking: False})
    for step, found in steps.items():
        assert ("mem_limit" in found) == (lacking != "MemoryLimit"), step
        assert ("memswap_limit" in found) == (lacking != "MemoryLimit"), step
        assert ("pids_limit" in found) == (lacking != "PidsLimit"), step


def test_every_step_has_next_to_no_rights(tmp_path: Path) -> None:
    for step, found in arguments_of(tmp_path, "gs://models/emotion-ai").items():
        assert found["read_only"], step
        assert found["cap_drop"] == ["ALL"], step
        assert "no-new-privileges" in found["security_opt"], step
