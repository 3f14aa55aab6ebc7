"""The compiled pipeline as data: what a cluster receives."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp.cli.utils.parsing import parse_parameter_value
from kubernetes.utils.quantity import parse_quantity

from emotion_ai.pipeline.compiler import compile_pipeline
from emotion_ai.pipeline.parameters import training_parameters
from emotion_ai.pipeline.policy import STEPS
from emotion_ai.pipeline.resources import StepResources
from emotion_ai.pipeline.revisions import step_revision
from emotion_ai.pipeline.settings import load_environment, load_run_settings
from emotion_ai.registry.gate_settings import GateSettings

ROOT = Path(__file__).parents[2]
KFP = str(Path(sys.executable).with_name("kfp"))
UNCACHED = {"resolve", "record", "push", "reject", "rollout", "notify"}


def kfp_compile(output: Path) -> Path:
    command = [KFP, "dsl", "compile", "--py", "pipeline/training.py", "--output", str(output)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return output


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kfp_compile(tmp_path_factory.mktemp("compiled") / "emotion-ai.yaml")


@pytest.fixture(scope="module")
def spec(compiled: Path) -> dict[str, Any]:
    return next(yaml.safe_load_all(compiled.read_text()))


def dags(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]


def leaf_tasks(spec: dict[str, Any]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return the task and the executor of every step, by the task's name."""
    leaves = {}
    for dag in dags(spec):
        for name, task in dag["tasks"].items():
            component = spec["components"][task["componentRef"]["name"]]
            if "executorLabel" in component:
                executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
                leaves[name] = (task, executor["container"])
    return leaves


def resources_of(container: dict[str, Any]) -> StepResources:
    names = ("CpuRequest", "CpuLimit", "MemoryRequest", "MemoryLimit")
    return StepResources(*(container["resources"][f"resource{name}"] for name in names))


def step_of(task_name: str) -> str:
    return task_name.removesuffix("-2")


def test_compiled_pipeline_has_the_same_bytes_each_time(compiled: Path, tmp_path: Path) -> None:
    again = kfp_compile(tmp_path / "again.yaml")
    assert again.read_bytes() == compiled.read_bytes()


def test_compiled_settings_are_objects_and_lists(spec: dict[str, Any]) -> None:
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    names = {"checks", "gate", "keypoint_training", "validation", "rollout_settings"}
    assert {parameters[name]["parameterType"] for name in names} == {"STRUCT"}
    assert parameters["teachers"]["parameterType"] == "LIST"


def test_compiled_defaults_are_those_of_the_environment(spec: dict[str, Any]) -> None:
    declared = spec["root"]["inputDefinitions"]["parameters"]
    expected = training_parameters(load_run_settings("cluster")) | {"run_name": ""}
    assert {name: value["defaultValue"] for name, value in declared.items()} == expected


def test_a_default_of_several_lines_stays_in_the_comment(tmp_path: Path) -> None:
    settings = load_run_settings("cluster", "", {"force_accept": "two\nlines: here\n# three"})
    path = tmp_path / "emotion-ai.yaml"
    compile_pipeline(load_environment("cluster").compile, settings, path)
    document = next(yaml.safe_load_all(path.read_text()))
    assert "lines" not in document
    default = document["root"]["inputDefinitions"]["parameters"]["force_accept"]["defaultValue"]
    assert default == settings.force_accept


def test_compiled_comment_has_the_defaults_as_the_command_line_takes_them(compiled: Path) -> None:
    (line,) = (
        line for line in compiled.read_text().splitlines() if line.startswith("#    gate: dict")
    )
    default = line.partition("[Default: ")[2].removesuffix("]")
    (text,) = shlex.split(default)
    assert parse_parameter_value(text) == training_parameters(load_run_settings("cluster"))["gate"]


def test_compiled_gate_keeps_a_null_that_turns_a_comparison_off(tmp_path: Path) -> None:
    environment = tmp_path / "environment.yaml"
    environment.write_text("run: {gate: {champion: {accuracy: null}}}\n")
    output = tmp_path / "pipeline.yaml"
    settings = load_run_settings(str(environment))
    compile_pipeline(load_environment(str(environment)).compile, settings, output)
    spec = next(yaml.safe_load_all(output.read_text()))
    gate = spec["root"]["inputDefinitions"]["parameters"]["gate"]["defaultValue"]
    assert gate["champion"]["accuracy"] is None
    assert GateSettings.model_validate(gate) == settings.gate


def test_compiled_pipeline_is_ascii_without_local_paths(compiled: Path) -> None:
    text = compiled.read_bytes().decode("ascii")
    assert str(ROOT) not in text


def test_compiled_task_names_are_stable(spec: dict[str, Any]) -> None:
    assert set(leaf_tasks(spec)) == {
        *STEPS,
        "ingest-2",
        "prepare-2",
        "reject-2",
    }


def test_compiled_steps_install_nothing_at_run_time(compiled: Path) -> None:
    assert "pip install" not in compiled.read_text()


def test_compiled_images_and_variables_have_the_revision_of_their_step(
    spec: dict[str, Any],
) -> None:
    for name, (task, container) in leaf_tasks(spec).items():
        target, revision = STEPS[step_of(name)].image, step_revision(step_of(name))
        assert container["image"] == f"registry.example.com/emotion-ai/{target}:{revision}"
        environment = {variable["name"]: variable["value"] for variable in container["env"]}
        expected = {"EMOTION_AI_REVISION": revision, "EMOTION_AI_STEP": task["taskInfo"]["name"]}
        assert environment == expected


def test_compiled_push_receives_the_revision_of_combine(spec: dict[str, Any]) -> None:
    task, _ = leaf_tasks(spec)["push"]
    revision = task["inputs"]["parameters"]["revision"]["runtimeValue"]["constant"]
    assert revision == step_revision("combine")


def test_compiled_steps_have_the_resources_of_their_policy(spec: dict[str, Any]) -> None:
    for name, (_, container) in leaf_tasks(spec).items():
        assert resources_of(container) == STEPS[step_of(name)].resources


def test_compiled_steps_fit_two_nodes_of_two_cores_beside_their_systems(
    spec: dict[str, Any],
) -> None:
    for name, (_, container) in leaf_tasks(spec).items():
        resources = resources_of(container)
        assert parse_quantity(resources.cpu) <= 1, name
        assert parse_quantity(resources.memory) <= 2 * 10**9, name
        assert parse_quantity(resources.cpu_limit) > parse_quantity(resources.cpu), name
        assert parse_quantity(resources.memory_limit) > parse_quantity(resources.memory), name


def test_compiled_steps_have_the_caching_and_retries_of_their_policy(spec: dict[str, Any]) -> None:
    for name, (task, _) in leaf_tasks(spec).items():
        step = step_of(name)
        assert task.get("cachingOptions", {}).get("enableCache", False) == (step not in UNCACHED)
        retries = task.get("retryPolicy", {}).get("maxRetryCount", 0)
        assert retries == (2 if STEPS[step].retried else 0)


def test_compiled_uncached_steps_alone_receive_the_run_id(spec: dict[str, Any]) -> None:
    for name, (task, _) in leaf_tasks(spec).items():
        inputs = task["inputs"].get("parameters", {})
        run_ids = {"run_id", "job_id", "run_name"} & set(inputs)
        assert bool(run_ids) == (step_of(name) in UNCACHED), name


def test_compiled_conditions_have_an_else(spec: dict[str, Any]) -> None:
    conditions = {
        task["triggerPolicy"]["condition"]
        for dag in dags(spec)
        for task in dag["tasks"].values()
        if "condition" in task.get("triggerPolicy", {})
    }
    positive = {condition for condition in conditions if not condition.startswith("!(")}
    assert len(positive) == 2
    assert conditions == positive | {f"!({condition})" for condition in positive}


def test_compiled_branches_have_names(spec: dict[str, Any]) -> None:
    branches = {
        task["taskInfo"]["name"]: set(
            spec["components"][task["componentRef"]["name"]]["dag"]["tasks"]
        )
        for dag in dags(spec)
        for task in dag["tasks"].values()
        if "condition" in task.get("triggerPolicy", {})
    }
    # KFP names the wrapper of a branch itself.
    assert branches == {
        "accepted": {"combine", "validate", "condition-branches-3"},
        "rejected": {"reject-2"},
        "valid": {"push", "rollout"},
        "invalid": {"reject"},
    }


def test_compiled_artifacts_that_kfp_shows(spec: dict[str, Any]) -> None:
    shown = {
        (name, output): definition["artifactType"]["schemaTitle"].removeprefix("system.")
        for name, component in spec["components"].items()
        for output, definition in component.get("outputDefinitions", {})
        .get("artifacts", {})
        .items()
        if "executorLabel" in component
    }
    assert shown["comp-evaluate", "verdict"] == "Markdown"
    metrics = {name for (name, _), kind in shown.items() if kind == "Metrics"}
    assert metrics == {
        "comp-evaluate",
        "comp-ingest",
        "comp-ingest-2",
        "comp-train-expression",
        "comp-train-keypoints",
    }


def test_compiled_notify_runs_after_a_failure(spec: dict[str, Any]) -> None:
    notify = spec["root"]["dag"]["tasks"]["notify"]
    assert notify["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"


def test_compile_applies_images_resources_and_defaults_of_an_environment_file(
    tmp_path: Path,
) -> None:
    environment = tmp_path / "staging.yaml"
    environment.write_text(
        "preset: quick\n"
        "compile:\n"
        "  image: example.org/faces\n"
        "  retries: 5\n"
        "  resources: {train-expression: {cpu: '8', memory: 16G}}\n"
        "run: {registry: 'gs://staging/models', label_set: course5}\n"
    )
    output = tmp_path / "staging-pipeline.yaml"
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "compile", "--environment"]
    command += [str(environment), "-o", str(output)]
    done = subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[1] == (
        "a node must have free at least 8 CPU (for train-expression) and 16G of memory (for "
        "train-expression)"
    )
    spec = next(yaml.safe_load_all(output.read_text()))
    task, container = leaf_tasks(spec)["train-expression"]
    assert container["image"].startswith("example.org/faces/train:")
    # A request without a limit is the limit too.
    assert resources_of(container) == StepResources("8", "8", "16G", "16G")
    assert task["retryPolicy"]["maxRetryCount"] == 5
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert parameters["registry"]["defaultValue"] == "gs://staging/models"
    assert parameters["label_set"]["defaultValue"] == "course5"
    assert parameters["expression_training"]["defaultValue"]["epochs"] == 12


def test_no_network_is_trained_before_both_sources_are_read_and_split(spec: dict[str, Any]) -> None:
    tasks = leaf_tasks(spec)
    prepared = {name for name in tasks if step_of(name) == "prepare"}
    assert len(prepared) == 2
    for name in ("train-keypoints", "train-expression"):
        assert prepared <= set(tasks[name][0]["dependentTasks"])


def test_the_first_step_is_told_every_parameter_so_that_none_is_refused_later(
    spec: dict[str, Any],
) -> None:
    inputs = leaf_tasks(spec)["resolve"][0]["inputs"]["parameters"]
    assert set(inputs) - {"job_id"} == set(spec["root"]["inputDefinitions"]["parameters"])
