"""Each step of a local run in a container of its own image.

KFP's DockerRunner says how; its handler is replaced where it errs: it takes a step for done
whose container is gone (kubeflow/pipelines#13332) and loses what a short step printed. Here the
container's exit code counts, and the step's result file has to be there.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from docker.types import Mount
from kfp.local import DockerRunner, docker_task_handler
from kfp.local.docker_task_handler import DockerTaskHandler
from kfp.local.status import Status

from emotion_ai import storage
from emotion_ai.errors import ERROR_LINE, Unavailable, one_line
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.sources.uri import is_sample, subjects_uri

# It alone speaks to the model server; with everything on this machine no other needs a network.
_NETWORKED = {"rollout"}
# How a step finds Cloud Storage, or what stands in for it.
_PASSED_ON = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST")
_KILLED = 137


@contextlib.contextmanager
def step_containers(settings: RunSettings, images: Iterable[str]) -> Iterator[DockerRunner]:
    """A runner whose steps see the run's sources, registry and checkpoints, and nothing else.

    `settings` have absolute places. Steps run as the caller, whose the files they write are, on a
    root file system that is read-only. Raises `Unavailable` where no engine answers or an image is
    neither here nor to be had; nothing has run then.
    """
    with _engine() as client:
        for image in sorted(set(images)):
            _provide(client, image)
        arguments = _run_arguments(client, settings)
    handler = docker_task_handler.DockerTaskHandler
    docker_task_handler.DockerTaskHandler = StepContainer
    try:
        yield DockerRunner(**arguments)
    finally:
        docker_task_handler.DockerTaskHandler = handler


class StepContainer(DockerTaskHandler):
    """Runs one step to its end, and removes its container however that end comes."""

    def run(self) -> Status:
        """The step's status: done only where it ended well and left its result."""
        step = self.full_command[self.full_command.index("--function_to_execute") + 1]
        arguments = dict(self.runner.container_run_args)
        if step in _NETWORKED:
            arguments["network_mode"] = "host"
        try:
            with _engine() as client:
                code = self._run(client, arguments)
        except (DockerException, Unavailable) as failure:
            _say(ERROR_LINE.format(code=Unavailable.exit_code, message=one_line(failure)))
            return Status.FAILURE
        if code == 0 and self._result().is_file():
            return Status.SUCCESS
        ended = "was killed" if code == _KILLED else f"ended with code {code}"
        _say(f"the container {ended}" + ("" if code else " and left no result"))
        return Status.FAILURE

    def _run(self, client: docker.DockerClient, arguments: dict[str, Any]) -> int:
        container = client.containers.create(
            self.image,
            self.full_command,
            environment=self.env_vars,
            volumes=self.get_volumes_to_mount(client),
            **arguments,
        )
        try:
            container.start()
            for line in container.logs(stream=True, follow=True):
                sys.stdout.write(line.decode(errors="replace"))
            return int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True)

    def _result(self) -> Path:
        told = self.full_command[self.full_command.index("--executor_input") + 1]
        return Path(json.loads(told)["outputs"]["outputFile"])


@contextlib.contextmanager
def _engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        raise Unavailable(
            f"no container engine answers at {os.environ.get('DOCKER_HOST', 'its usual address')}: "
            f"{error}; start Docker or podman's API service, or run without --runner docker"
        ) from None
    try:
        yield client
    finally:
        client.close()


def _provide(client: docker.DockerClient, image: str) -> None:
    try:
        client.images.get(image)
    except ImageNotFound:
        try:
            client.images.pull(image)
        except DockerException as error:
            raise Unavailable(
                f"image {image} is not here and cannot be pulled: {error}; `make images` builds it"
            ) from None


def _run_arguments(client: docker.DockerClient, settings: RunSettings) -> dict[str, Any]:
    """What docker-run(1) is told about every step."""
    sources = (settings.keypoints, settings.expression)
    places = (settings.registry, settings.checkpoints)
    everything_here = not any(map(storage.is_remote, [*places, *_read(sources)]))
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    readable = [*_read(sources), *(v for k, v in passed_on.items() if k.endswith("CREDENTIALS"))]
    return {
        # A rootless engine calls its user root.
        "user": "0:0" if _is_rootless(client) else f"{os.getuid()}:{os.getgid()}",
        "environment": passed_on,
        "mounts": [*_mounts(places, readable)],
        "network_mode": "none" if everything_here else "host",
        "read_only": True,
        "tmpfs": {"/tmp": ""},  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", "label=disable"],
    }


def _is_rootless(client: docker.DockerClient) -> bool:
    return "name=rootless" in client.info().get("SecurityOptions", [])


def _read(sources: Iterable[str]) -> list[str]:
    files = [source for source in sources if not is_sample(source)]
    return [*files, *map(subjects_uri, files)]


def _mounts(written: Iterable[str], readable: Iterable[str]) -> Iterator[Mount]:
    folders = {storage.local_path(uri).absolute() for uri in written if not storage.is_remote(uri)}
    for folder in sorted(folders):
        # The engine would make it, and it would be root's.
        with storage.translate_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        yield Mount(str(folder), str(folder), type="bind")
    paths = {storage.local_path(uri).absolute() for uri in readable if not storage.is_remote(uri)}
    for path in sorted(paths - folders):
        # What is not there the step itself reports.
        if path.exists():
            yield Mount(str(path), str(path), type="bind", read_only=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
