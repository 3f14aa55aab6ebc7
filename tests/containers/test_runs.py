"""Whole runs with each step in a container of its own image, and runs that fail."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest
from command_line import refused
from engines import ROOT, answered, built_upon, engine
from serve.asking import eventually

from components.registry.champion import read_champion
from components.registry.releases import read_release
from pipeline.policy import STEPS, code_revision

TINY = ROOT / "tests" / "pipeline" / "tiny.yaml"
# Who asks for the run, where the tests may choose: not root, and not the images' own user.
CALLER = 4321 if os.geteuid() == 0 else os.geteuid()
AS_CALLER = f"""
import os
if os.geteuid() == 0:
    os.setresgid({CALLER}, 0, 0)
    os.setresuid({CALLER}, 0, 0)
from pipeline.cli import main
main()
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`emotion-ai run` on the folder's sources, called by `CALLER`."""
    sources = ("--keypoints", "keypoints.csv", "--expressions", "expressions.csv")
    command = [sys.executable, "-c", AS_CALLER, "run", *sources, "--preset", str(TINY), *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **streams)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    stdout, stderr = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def new_folder(path: Path) -> Path:
    """A folder of the caller's with sources and the folders that a run would make there."""
    command = [sys.executable, "-m", "pipeline.cli", "sample-data", ".", "--faces", "140"]
    subprocess.run(command, cwd=path, check=True, capture_output=True)
    for name in ("registry", ".emotion-ai/artifacts", ".emotion-ai/checkpoints"):
        (path / name).mkdir(parents=True)
        os.chown(path / name, CALLER, -1)
    return path


class Sightings(threading.Thread):
    """Looks at the containers of steps while a run goes on."""

    def __init__(self, client: docker.DockerClient) -> None:
        super().__init__(daemon=True)
        self.client, self.seen, self.done = client, {}, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            for container in self.client.containers.list(all=True, ignore_removed=True):
                arguments = container.attrs["Args"]
                if "--function_to_execute" in arguments:
                    step = arguments[arguments.index("--function_to_execute") + 1]
                    self.seen[step.replace("_", "-")] = container.attrs


class Pair(NamedTuple):
    """One run in containers and one in processes, from the same sources and the same seed."""

    containers: Path
    processes: Path
    outcome: dict[str, Any]
    seen: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def pair(
    images: dict[str, str],
    client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pair]:
    folders = [new_folder(tmp_path_factory.mktemp(name)) for name in ("containers", "processes")]
    options = ("--json", "--seed", "7", "--force-accept", "run for the test")
    sightings = Sightings(client)
    sightings.start()
    # At the same time: a step waits for its disk as often as for its processor.
    runs = [
        started(folder, *options, "--runner", runner)
        for folder, runner in zip(folders, ("docker", "subprocess"), strict=True)
    ]
    results = [ended(run) for run in runs]
    sightings.done.set()
    for result in results:
        assert result.returncode == 0, result.stderr
    return Pair(*folders, json.loads(results[0].stdout), sightings.seen)


@pytest.mark.slow
def test_the_whole_dag_runs_in_containers(pair: Pair) -> None:
    assert (pair.outcome["outcome"], pair.outcome["release"]) == ("accepted", 1)
    assert {step["state"] for step in pair.outcome["steps"]} == {"done"}
    assert [answer["model_version"] for answer in pair.outcome["answers"]] == [1] * 7
    assert read_champion(str(pair.containers / "registry")) == 1


@pytest.mark.slow
def test_its_release_is_the_one_that_processes_make(pair: Pair) -> None:
    inside, outside = (
        read_release(str(folder / "registry"), 1) for folder in (pair.containers, pair.processes)
    )
    # Weights, labels, signatures and revision: the same to the bit.
    assert inside.content_digest == outside.content_digest
    assert inside.packages == outside.packages


@pytest.mark.slow
def test_each_step_ran_in_its_image_with_next_to_no_rights(
    pair: Pair, images: dict[str, str]
) -> None:
    # No sample of the world sees everything; the longest steps it cannot miss.
    assert set(pair.seen) >= {"ingest", "train-keypoints", "evaluate", "combine", "validate"}
    for step, container in pair.seen.items():
        host = container["HostConfig"]
        assert container["Config"]["Image"] == images[STEPS[step].image]
        assert container["Config"]["User"].split(":")[0] == str(CALLER)
        assert host["NetworkMode"] == ("host" if step == "rollout" else "none")
        assert host["ReadonlyRootfs"]
        assert container["EffectiveCaps"] in ([], None) or host["CapDrop"] == ["ALL"]
        written = {mount["Destination"] for mount in container["Mounts"] if mount["RW"]}
        folder = pair.containers
        assert written <= {
            "/tmp",
            "/kfp-workspace",
            str(folder / "registry"),
            str(folder / ".emotion-ai/artifacts"),
            str(folder / ".emotion-ai/checkpoints"),
        }


@pytest.mark.slow
def test_what_steps_wrote_is_the_callers_and_no_container_is_left(
    pair: Pair, client: docker.DockerClient
) -> None:
    steps = (pair.containers / ".emotion-ai" / "artifacts").rglob("*")
    reports = (pair.containers / "registry").rglob("*.html")
    owners = {path.stat().st_uid for path in [*steps, *reports]}
    assert owners == {CALLER}
    commands = [c.attrs["Args"] for c in client.containers.list(all=True, ignore_removed=True)]
    assert not any(str(pair.containers) in argument for c in commands for argument in c)


# What happens in a step, and the words that the run ends with.
ENDS = {
    "exits 3": ("os._exit(3)", ("half way", "ended with code 3")),
    "says it is done": ("os._exit(0)", ("half way", "ended with code 0 and left no result")),
    "is killed": ("time.sleep(600)", ("half way", "was killed")),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_step_that_ends_badly_fails_the_run_by_name(
    images: dict[str, str], tmp_path: Path, client: docker.DockerClient, end: str
) -> None:
    act, words = ENDS[end]
    folder = tmp_path / "run"
    folder.mkdir()
    new_folder(folder)
    (tmp_path / "ingestion.py").write_text(
        f"import os, time\ndef ingest(*_):\n    print('half way', flush=True)\n    {act}\n"
    )
    name = f"localhost/emotion-ai-broken/base:{code_revision()}"
    copy = "COPY ingestion.py /app/components/ingest/ingestion.py"
    built_upon(images["base"], name, copy, tmp_path)
    train = f"localhost/emotion-ai-broken/train:{code_revision()}"
    answered("tag", images["train"], train)
    environment = tmp_path / "broken.yaml"
    environment.write_text(
        "compile: {image: localhost/emotion-ai-broken, retries: 0}\nrun: {registry: ./registry}\n"
    )
    try:
        run = started(folder, "--runner", "docker", "--environment", str(environment))
        if end == "is killed":
            eventually(lambda: any(b"half way" in c.logs() for c in steps_of(client, name)), 120)
            for container in steps_of(client, name):
                container.kill()
        refused(ended(run), 1, "step ingest", *words)
    finally:
        engine("image", "rm", "--force", name, train)
    (summary,) = (folder / "registry" / "runs").glob("*/run.json")
    assert json.loads(summary.read_text())["outcome"] == "failed"


def steps_of(client: docker.DockerClient, image: str) -> list[Any]:
    found = client.containers.list(filters={"ancestor": image}, ignore_removed=True)
    return [c for c in found if "ingest" in c.attrs["Args"]]


def test_an_image_that_is_missing_is_named_before_anything_runs(
    images: dict[str, str], tmp_path: Path
) -> None:
    new_folder(tmp_path)
    environment = tmp_path / "elsewhere.yaml"
    environment.write_text(
        "compile: {image: localhost/nowhere, retries: 0}\nrun: {registry: ./registry}\n"
    )
    run = ended(started(tmp_path, "--runner", "docker", "--environment", str(environment)))
    refused(run, 1, f"localhost/nowhere/base:{code_revision()}", "make images")
    assert list((tmp_path / "registry").iterdir()) == []


def test_an_interrupted_run_leaves_no_container(
    images: dict[str, str], tmp_path: Path, client: docker.DockerClient
) -> None:
    new_folder(tmp_path)

    def running() -> list[Any]:
        all_of_them = client.containers.list(all=True, ignore_removed=True)
        return [c for c in all_of_them if any(str(tmp_path) in a for a in c.attrs["Args"])]

    run = started(tmp_path, "--runner", "docker")
    eventually(lambda: bool(running()), 120)
    run.terminate()
    assert ended(run).returncode == 143
    assert running() == []


def test_no_engine_is_one_message(
    images: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_folder(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    refused(ended(started(tmp_path, "--runner", "docker")), 1, "none.sock", "--runner docker")
