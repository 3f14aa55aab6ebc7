"""Runs each step of a local run in a container of its own image.

KFP's DockerRunner runs the containers, with its task handler replaced: KFP's reports success for a
container that is gone (kubeflow/pipelines#13332) and loses what a short step printed. Here a step
succeeds only if its container exits with 0 and its result file exists.
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

# Steps that connect to the model server. If all data is on this machine no other needs a network.
_NETWORKED = {"rollout"}
# Environment variables with which a step finds Cloud Storage or its emulator.
_PASSED_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "STORAGE_EMULATOR_HOST",
)
_KILLED = 137


@contextlib.contextmanager
def step_containers(settings: RunSettings, images: Iterable[str]) -> Iterator[DockerRunner]:
    """Yield a runner whose steps see the run's sources, registry and checkpoints, and nothing else.

    Steps run as the caller, so that the files they write belong to the caller, on a read-only root
    file system.

    Args:
        settings: The settings of the run, with absolute paths.
        images: The images of the steps; missing ones are pulled.

    Raises:
        Unavailable: No container engine answers, or an image is missing and cannot be pulled;
            nothing has run then.
    """
    with _open_engine() as client:
        for image in sorted(set(images)):
            _ensure_image(client, image)
        arguments = _run_arguments(client, settings)
    handler = docker_task_handler.DockerTaskHandler
    docker_task_handler.DockerTaskHandler = StepContainer
    try:
        yield DockerRunner(**arguments)
    finally:
        docker_task_handler.DockerTaskHandler = handler


class StepContainer(DockerTaskHandler):
    """Runs one step, and removes its container however it ends."""

    def run(self) -> Status:
        """Run the step; return SUCCESS only if it exited with 0 and left its result file."""
        step = self._argument("--function_to_execute")
        arguments = dict(self.runner.container_run_args)
        if step in _NETWORKED:
            arguments["network_mode"] = "host"
        try:
            with _open_engine() as client:
                code = self._run_container(client, arguments)
        except (DockerException, Unavailable) as failure:
            _print(ERROR_LINE.format(code=Unavailable.exit_code, message=one_line(failure)))
            return Status.FAILURE
        executor_input = json.loads(self._argument("--executor_input"))
        if code == 0 and Path(executor_input["outputs"]["outputFile"]).is_file():
            return Status.SUCCESS
        ended = "was killed" if code == _KILLED else f"ended with code {code}"
        _print(f"the container {ended}" + ("" if code else " and left no result"))
        return Status.FAILURE

    def _argument(self, flag: str) -> str:
        return self.full_command[self.full_command.index(flag) + 1]

    def _run_container(self, client: docker.DockerClient, arguments: dict[str, Any]) -> int:
        """Run the container, print its output and return its exit code."""
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


@contextlib.contextmanager
def _open_engine() -> Iterator[docker.DockerClient]:
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


def _ensure_image(client: docker.DockerClient, image: str) -> None:
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
    """Return the arguments of docker-run(1) that all steps have."""
    inputs = _input_uris((settings.keypoints, settings.expression))
    outputs = [settings.registry, settings.checkpoints]
    is_local = not any(map(storage.is_remote, [*inputs, *outputs]))
    variables = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    credentials = [v for name, v in variables.items() if name.endswith("CREDENTIALS")]
    return {
        # In the containers of a rootless engine its user is root.
        "user": "0:0" if _is_rootless(client) else f"{os.getuid()}:{os.getgid()}",
        "environment": variables,
        "mounts": [*_mounts(writable=outputs, readable=[*inputs, *credentials])],
        "network_mode": "none" if is_local else "host",
        "read_only": True,
        "tmpfs": {"/tmp": ""},  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", "label=disable"],
    }


def _is_rootless(client: docker.DockerClient) -> bool:
    return "name=rootless" in client.info().get("SecurityOptions", [])


def _input_uris(sources: Iterable[str]) -> list[str]:
    """Return the files that the sources consist of; drawn samples have none."""
    files = [source for source in sources if not is_sample(source)]
    return [*files, *map(subjects_uri, files)]


def _mounts(writable: Iterable[str], readable: Iterable[str]) -> Iterator[Mount]:
    """Mount local folders and files at their own paths."""
    folders = _local_paths(writable)
    for folder in sorted(folders):
        # The engine would create a missing folder, and root would own it.
        with storage.translate_errors(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        yield Mount(str(folder), str(folder), type="bind")
    for path in sorted(_local_paths(readable) - folders):
        # The step itself reports a missing file.
        if path.exists():
            yield Mount(str(path), str(path), type="bind", read_only=True)


def _local_paths(uris: Iterable[str]) -> set[Path]:
    return {storage.local_path(uri).absolute() for uri in uris if not storage.is_remote(uri)}


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
