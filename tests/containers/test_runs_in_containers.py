"""Whole runs with each step in a container of its own image."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest

from emotion_ai.pipeline.policy import STEPS
from emotion_ai.pipeline.resources import in_bytes
from emotion_ai.pipeline.revisions import step_revision
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import read_release

from support.container_runs import CALLER, all_containers, ended, new_folder, started, steps_of


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
