"""What a change of code runs again: the steps that run it, and nothing else."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_ai.errors import InputError
from emotion_ai.pipeline.policy import PROGRAMS, STEPS, image_tags, program_tag
from emotion_ai.pipeline.revisions import (
    program_closure,
    program_revision,
    step_closure,
    step_revision,
)

from support.code_copy import copy_code, run_copy

TINY = Path(__file__).with_name("tiny.yaml")
TRAINING = {"train-keypoints", "train-expression"}
# A line that changes what a module is, and nothing that it does.
LINE = "\n# One line more.\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_code(tmp_path_factory.mktemp("code"))


def compiled(package: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Image and environment of each step, from the pipeline that the copy compiles."""
    output = package.parent / "pipeline.yaml"
    command = ("-m", "emotion_ai.pipeline.cli", "compile", "-o", str(output))
    result = run_copy(package, *command, cwd=package.parent)
    assert result.returncode == 0, result.stderr
    spec = next(yaml.safe_load_all(output.read_text()))
    return {
        name.removeprefix("exec-"): (
            executor["container"]["image"],
            {variable["name"]: variable["value"] for variable in executor["container"]["env"]},
        )
        for name, executor in spec["deploymentSpec"]["executors"].items()
    }


@functools.cache
def compiled_unchanged(package: Path) -> dict[str, tuple[str, dict[str, str]]]:
    return compiled(package)


def changed_by(package: Path, file: str, text: str = LINE) -> set[str]:
    """The steps whose image or environment changes with text at the end of a file."""
    path = (package / file).resolve()
    content = path.read_bytes()
    before = compiled_unchanged(package)
    path.write_bytes(content + text.encode())
    try:
        after = compiled(package)
    finally:
        path.write_bytes(content)
    assert before.keys() == after.keys()
    changed = {name for name, place in after.items() if place != before[name]}
    for name in changed:
        (image, environment), (former_image, former_environment) = after[name], before[name]
        assert image != former_image
        assert environment != former_environment
    return {name.removesuffix("-2") for name in changed}


def test_code_of_apps_and_of_the_pipeline_changes_no_step(package: Path) -> None:
    assert changed_by(package, "apps/console/application.py") == set()
    assert changed_by(package, "apps/console/assets/index.html") == set()
    assert changed_by(package, "pipeline/policy.py") == set()


def test_code_of_the_server_changes_no_training(package: Path) -> None:
    # A module that is started and not imported; the validation runs it.
    assert changed_by(package, "server/batching.py") == {"validate"}


def test_code_of_the_networks_changes_what_uses_networks(package: Path) -> None:
    changed = changed_by(package, "networks/blocks.py")
    assert changed >= TRAINING
    assert changed & {"resolve", "ingest", "prepare", "push", "reject", "rollout"} == set()


def test_code_of_one_step_changes_that_step_alone(package: Path) -> None:
    assert changed_by(package, "steps/ingest/report.py") == {"ingest"}
    assert changed_by(package, "steps/train_keypoints/run.py") == {"train-keypoints"}


def test_data_files_change_the_steps_that_read_them(package: Path) -> None:
    assert changed_by(package, "networks/pretrained/expression.npz") >= TRAINING
    changed = changed_by(package, "serving_api/serving.binpb")
    assert "validate" in changed
    assert not TRAINING & changed


def test_the_file_of_a_package_counts_where_something_of_it_is_imported(package: Path) -> None:
    assert changed_by(package, "networks/__init__.py") == set()
    assert changed_by(package, "storage/__init__.py") == set(STEPS)


@pytest.mark.parametrize(
    ("pinned", "step", "concerned"),
    [
        ("keras", "train-keypoints", True),
        ("tensorflow-cpu", "train-keypoints", True),
        # Required by TensorFlow, imported by no module of this project.
        ("flatbuffers", "train-expression", True),
        ("tensorflow-cpu", "ingest", False),
        ("pandas", "ingest", True),
        ("pandas", "train-keypoints", False),
        ("starlette", "train-keypoints", False),
    ],
)
def test_locked_versions_change_the_steps_that_import_them(
    package: Path, pinned: str, step: str, concerned: bool
) -> None:
    lock = package.parent / "requirements.lock"
    text = lock.read_text()
    before = compiled_unchanged(package)[step]
    lock.write_text(text.replace(f"\n{pinned}==", f"\n{pinned}==0."))
    assert lock.read_text() != text
    try:
        assert (compiled(package)[step] != before) == concerned
    finally:
        lock.write_text(text)


def test_a_package_that_is_not_locked_is_named(package: Path) -> None:
    run = package / "steps/reject/run.py"
    content = run.read_text()
    run.write_text(f"{content}\n\ndef later() -> None:\n    import not_locked\n")
    try:
        command = ("-m", "emotion_ai.pipeline.cli", "compile", "-o", "pipeline.yaml")
        result = run_copy(package, *command, cwd=package.parent)
    finally:
        run.write_text(content)
    assert result.returncode == 2
    assert "package not-locked is imported" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_image_has_the_revision_of_every_step_that_runs_in_it() -> None:
    for step, policy in STEPS.items():
        assert step_revision(step) in image_tags(policy.image)
        assert step_revision(step) in image_tags(f"{policy.image}-gpu")
    assert image_tags("serve") == [program_revision("emotion_ai.server.__main__")]


def test_an_image_has_the_revision_of_the_program_that_it_starts() -> None:
    for image in PROGRAMS:
        assert program_tag(image) in image_tags(image)
    # Pods are replaced when the program's code changes, and not when a step's does.
    fetching = program_closure(PROGRAMS["base"])
    assert program_tag("base") not in {step_revision(step) for step in STEPS}
    assert "emotion_ai.storage.gcs" in fetching.modules
    assert not {module for module in fetching.modules if ".steps." in module}
    assert not fetching.packages & {"pandas", "kubernetes", "kfp", "tensorflow-cpu"}
    with pytest.raises(InputError, match="image train has no program; expected base, client, serv"):
        program_tag("train")


def test_closures_hold_programs_that_are_started_and_leave_out_types() -> None:
    assert "emotion_ai.server.server" in step_closure("validate").modules
    assert "emotion_ai.server.server" not in step_closure("combine").modules
    assert "tensorflow-cpu" in step_closure("train-keypoints").packages
    assert not step_closure("ingest").packages & {"tensorflow-cpu", "keras", "scikit-learn"}


@pytest.mark.slow
def test_a_run_after_an_edit_repeats_what_the_edit_concerns(package: Path, tmp_path: Path) -> None:
    faces = "sample://420?seed=3"

    def states() -> dict[str, str]:
        sources = ("--keypoints", faces, "--expression", faces, "--preset", str(TINY))
        command = ("-m", "emotion_ai.pipeline.cli", "run", *sources, "--json")
        result = run_copy(package, *command, "--force-accept", "for the test", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        outcome: dict[str, Any] = json.loads(result.stdout)
        return {step["name"]: step["state"] for step in outcome["steps"]}

    def append(file: str) -> None:
        with (package / file).open("a") as text:
            text.write(LINE)

    assert set(states().values()) == {"done"}
    append("apps/console/application.py")
    append("server/batching.py")
    after_server = states()
    trained = {"train keypoints", "train expression"}
    for step in ("ingest keypoints", "prepare expression", "evaluate", "combine", *trained):
        # Evaluation knows the champion, which is new since the first run.
        assert after_server[step] == ("done" if step == "evaluate" else "cached"), step
    assert after_server["validate"] == "done"

    append("networks/blocks.py")
    append("steps/ingest/statistics.py")
    after_networks = states()
    for step in ("ingest keypoints", "ingest expression", *trained):
        assert after_networks[step] == "done", step
