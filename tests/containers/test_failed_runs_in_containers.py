"""Runs in containers that fail, or are interrupted, say why and leave no container."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from emotion_ai.pipeline.policy import image_tags

from support.command_line import assert_refused
from support.container_engine import answered, built_upon, engine
from support.container_runs import ended, new_folder, started, steps_of
from support.server_calls import eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    with new_folder() as path:
        yield path


# Stands in for the module that does the work of `ingest`, in an image made for the test.
INGESTION = """
import os, time
from emotion_ai.steps.ingest.original import run as work

def run(kind, **others):
    print("half way", flush=True)
    {act}
    return work(kind=kind, **others)
"""


@contextlib.contextmanager
def broken_environment(images: dict[str, str], scratch: Path, act: str) -> Iterator[str]:
    """An environment whose images are the project's, but for this act within `ingest`."""
    prefix = "localhost/emotion-ai-broken"
    (scratch / "run.py").write_text(INGESTION.format(act=act))
    folder = "/app/emotion_ai/steps/ingest"
    lines = f"RUN mv {folder}/run.py {folder}/original.py\nCOPY run.py {folder}/"
    names = [f"{prefix}/base:{tag}" for tag in image_tags("base")]
    built_upon(images["base"], names[0], lines, scratch)
    for name in names[1:]:
        answered("tag", names[0], name)
    for tag in image_tags("train"):
        names.append(f"{prefix}/train:{tag}")
        answered("tag", images["train"], names[-1])
    environment = scratch / "broken.yaml"
    environment.write_text(
        f"compile: {{image: {prefix}, retries: 0}}\nrun: {{registry: ./registry}}\n"
    )
    try:
        yield str(environment)
    finally:
        engine("image", "rm", "--force", *names)


def test_a_step_that_exits_and_one_that_only_says_it_is_done_fail_the_run(
    images: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    act = 'os._exit(3 if kind == "keypoints" else 0)'
    with broken_environment(images, tmp_path, act) as environment:
        run = ended(started(folder, "--runner", "docker", "--environment", environment))
    assert_refused(run, 1, "step ingest", "half way / the container ended with code")
    said = " ".join(run.stdout.split())
    assert "ingest keypoints" in said
    assert said.count(" failed") == 2
    (log,) = (folder / ".emotion-ai" / "logs").glob("*[0-9a-f].log")
    assert "the container ended with code 3" in log.read_text()
    assert "the container ended with code 0 and left no result" in log.read_text()
    (summary,) = (folder / "registry" / "runs").glob("*/run.json")
    assert json.loads(summary.read_text())["outcome"] == "failed"


def test_a_step_that_is_killed_fails_the_run_by_name(
    images: dict[str, str], folder: Path, tmp_path: Path, client: docker.DockerClient
) -> None:
    act = 'time.sleep(600 if kind == "expression" else 0)'
    with broken_environment(images, tmp_path, act) as environment:
        run = started(folder, "--runner", "docker", "--environment", environment)
        eventually(lambda: bool(steps_of(client, '"kind": "expression"')), 120)
        (step,) = steps_of(client, '"kind": "expression"')
        eventually(lambda: b"half way" in step.logs())
        step.kill()
        assert_refused(
            ended(run), 1, "step ingest expression", "half way", "the container was killed"
        )


def test_a_step_that_takes_more_memory_than_its_limit_fails_the_run_by_name(
    images: dict[str, str], folder: Path, tmp_path: Path, client: docker.DockerClient
) -> None:
    if not client.info().get("MemoryLimit"):
        pytest.skip("this engine cannot limit memory")
    # More than a step of rows may use, touched.
    act = 'taken = b"1" * 3_000_000_000'
    with broken_environment(images, tmp_path, act) as environment:
        run = ended(started(folder, "--runner", "docker", "--environment", environment))
    assert_refused(run, 1, "step ingest", "it may use 2,000,000,000 bytes of memory")


def test_an_image_that_is_missing_is_named_before_anything_runs(
    images: dict[str, str], folder: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "elsewhere.yaml"
    environment.write_text(
        "compile: {image: localhost/nowhere, retries: 0}\nrun: {registry: ./registry}\n"
    )
    run = ended(started(folder, "--runner", "docker", "--environment", str(environment)))
    assert_refused(run, 1, "localhost/nowhere/base:", "make images")
    assert list((folder / "registry").iterdir()) == []


def test_an_interrupted_run_leaves_no_container(
    images: dict[str, str], folder: Path, client: docker.DockerClient
) -> None:
    run = started(folder, "--runner", "docker")
    eventually(lambda: bool(steps_of(client, str(folder))), 120)
    run.terminate()
    assert ended(run).returncode == 143
    assert steps_of(client, str(folder)) == []


def test_no_engine_is_one_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/none.sock")
    assert_refused(ended(started(folder, "--runner", "docker")), 1, "none.sock", "--runner docker")
