"""Whole runs with each step in a container of its own image, and runs that fail."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest
from docker.errors import APIError

from emotion_ai.pipeline.policy import STEPS, image_tags
from emotion_ai.pipeline.resources import in_bytes
from emotion_ai.pipeline.revisions import step_revision
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import read_release

from support.command_line import assert_refused
from support.container_engine import ROOT, answered, built_upon, engine
from support.server_calls import eventually

TINY = ROOT / "tests" / "pipeline" / "tiny.yaml"
# Who asks for the run, where the tests may choose: not root, and not the images' own user.
CALLER = 4321 if os.geteuid() == 0 else os.geteuid()
AS_CALLER = f"""
import os
if os.geteuid() == 0:
    os.setresgid({CALLER}, 0, 0)
    os.setresuid({CALLER}, 0, 0)
from emotion_ai.pipeline.cli.main import main
main()
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`emotion-ai run` on the folder's sources; in containers it is `CALLER` who calls."""
    sources = ("--keypoints", "keypoints.csv", "--expression", "expression.csv")
    # The shell of a step that is a process would not have it that the user is two at once.
    program = ("-c", AS_CALLER) if "docker" in arguments else ("-m", "emotion_ai.pipeline.cli")
    command = [sys.executable, *program, "run", *sources, "--preset", str(TINY), *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **streams)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    stdout, stderr = process.communicate(timeout=900)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@contextlib.contextmanager
def new_folder() -> Iterator[Path]:
    """A folder with sources, and the folders that a run would make there, which are the caller's.

    Not pytest's own, which is closed to all but root.
    """
    path = Path(tempfile.mkdtemp(prefix="emotion-ai-run-"))
    path.chmod(0o755)
    command = [
        sys.executable,
        "-m",
        "emotion_ai.pipeline.cli",
        "sample-data",
        ".",
        "--faces",
        "140",
    ]
    subprocess.run(command, cwd=path, check=True, capture_output=True)
    for name in ("registry", ".emotion-ai/artifacts", ".emotion-ai/checkpoints"):
        (path / name).mkdir(parents=True)
        os.chown(path / name, CALLER, -1)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    with new_folder() as path:
        yield path


def all_containers(client: docker.DockerClient) -> list[Any]:
    """Every container there is."""
    while True:
        # podman fails where one goes while it is asked about, which the SDK does not expect.
        with contextlib.suppress(APIError):
            return client.containers.list(all=True, ignore_removed=True)


class Sightings(threading.Thread):
    """Looks at the containers of steps while a run goes on."""

    def __init__(self, client: docker.DockerClient) -> None:
        super().__init__(daemon=True)
        self.client, self.seen, self.done = client, {}, threading.Event()

    def run(self) -> None:
        while not self.done.wait(0.1):
            for container in all_containers(self.client):
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
def pair(images: dict[str, str], client: docker.DockerClient) -> Iterator[Pair]:
    with new_folder() as containers, new_folder() as processes:
        yield both_ways(containers, processes, client)


def both_ways(containers: Path, processes: Path, client: docker.DockerClient) -> Pair:
    options = ("--json", "--seed", "7", "--force-accept", "run for the test")
    sightings = Sightings(client)
    sightings.start()
    # At the same time: a step waits for its disk as often as for its processor.
    runs = [
        started(folder, *options, "--runner", runner)
        for folder, runner in ((containers, "docker"), (processes, "subprocess"))
    ]
    results = [ended(run) for run in runs]
    sightings.done.set()
    for result in results:
        assert result.returncode == 0, result.stderr
    return Pair(containers, processes, json.loads(results[0].stdout), sightings.seen)


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
    pair: Pair, client: docker.DockerClient
) -> None:
    # No sample of the world sees everything; the longest steps it cannot miss.
    assert set(pair.seen) >= {"ingest", "train-keypoints", "evaluate", "combine", "validate"}
    for step, container in pair.seen.items():
        host, image = container["HostConfig"], f"localhost/emotion-ai/{STEPS[step].image}"
        assert container["Config"]["Image"] == f"{image}:{step_revision(step)}"
        assert container["Config"]["User"].split(":")[0] == str(CALLER)
        # The first step asks whether the server answers.
        assert host["NetworkMode"] == ("host" if step in ("resolve", "rollout") else "none")
        assert host["ReadonlyRootfs"]
        # podman writes out what "ALL" stands for.
        assert {"ALL"} == set(host["CapDrop"]) or {"DAC_OVERRIDE", "SETUID"} < set(host["CapDrop"])
        assert not host["CapAdd"]
        if client.info().get("MemoryLimit"):
            limit = in_bytes(STEPS[step].resources.memory_limit)
            assert (host["Memory"], host["MemorySwap"]) == (limit, limit)
        if client.info().get("PidsLimit"):
            assert host["PidsLimit"] == 4096
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
    reports = [
        path
        for path in (pair.containers / "registry").rglob("*.html")
        # The command writes the run's page once more, as who the test is.
        if path.name != "index.html"
    ]
    assert reports
    owners = {path.stat().st_uid for path in [*steps, *reports]}
    assert owners == {CALLER}
    assert steps_of(client, str(pair.containers)) == []


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


def steps_of(client: docker.DockerClient, words: str) -> list[Any]:
    """The containers that work, or did, with these words in a step's arguments."""
    found = all_containers(client)
    return [c for c in found if any(words in argument for argument in c.attrs["Args"])]


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
