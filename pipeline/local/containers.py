"""Runs each step of a local run in a container of its own image.

KFP's DockerRunner runs the containers, with its task handler replaced: KFP's reports success for a
container that is gone (kubeflow/pipelines#13332) and loses what a short step printed. Here a step
succeeds only if its container exits with 0 and its result file exists.
"""

import contextlib
import functools
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import Mount
from kfp.local import DockerRunner, docker_task_handler
from kfp.local.docker_task_handler import DockerTaskHandler
from kfp.local.status import Status

from emotion_ai import storage
from emotion_ai.errors import ERROR_LINE, Unavailable, one_line
from emotion_ai.pipeline.policy import STEPS
from emotion_ai.pipeline.resources import in_bytes
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.sources.uri import corrections_uri, groups_uri, is_sample, subjects_uri

# Steps that connect to the model server. If all data is on this machine no other needs a network.
_NETWORKED = {"resolve", "rollout"}
# Environment variables with which a step finds Cloud Storage or its emulator.
_PASSED_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "STORAGE_EMULATOR_HOST",
)
# Threads count too: TensorFlow and its mathematics start several for each core.
_MAX_PROCESSES = 4096
_KILLED = 137


@contextlib.contextmanager
def step_containers(
    settings: RunSettings, containers: Collection[Mapping[str, Any]]
) -> Iterator[DockerRunner]:
    """Yield a runner whose steps see what they need of the run's files, and nothing else.

    Sources, registry, checkpoints and the credentials of a storage are seen by the steps that use
    them, and those alone have a network if some of these are remote. Steps run as the caller, so
    that the files they write belong to the caller, on a read-only root file system, within the
    memory that the compiled pipeline allows.

    Args:
        settings: The settings of the run, with absolute paths.
        containers: The steps' containers, as the compiled pipeline has them; missing images are
            pulled.

    Raises:
        Unavailable: No container engine answers, or an image is missing and cannot be pulled;
            nothing has run then.
    """
    with _open_engine() as client:
        for image in sorted({container["image"] for container in containers}):
            _ensure_image(client, image)
        arguments = step_arguments(client.info(), settings, containers)
    handler = docker_task_handler.DockerTaskHandler
    containers_now: set[Container] = set()
    docker_task_handler.DockerTaskHandler = functools.partial(
        StepContainer, arguments, containers_now
    )
    try:
        yield DockerRunner()
    finally:
        docker_task_handler.DockerTaskHandler = handler
        # A thread of a run that was interrupted still waits for its own.
        for container in [*containers_now]:
            _remove(container)


class _End(NamedTuple):
    code: int
    lacked_memory: bool


class StepContainer(DockerTaskHandler):
    """Runs one step, and removes its container however it ends.

    Args:
        arguments: Those of all steps, from `step_arguments`.
        running: The run's containers that are there; has this step's while it runs.
        others: What KFP's task handler takes.
    """

    def __init__(
        self, arguments: Mapping[str, dict[str, Any]], running: set[Container], **others: Any
    ) -> None:
        super().__init__(**others)
        self._arguments = arguments
        self._running = running

    def run(self) -> Status:
        """Run the step; return SUCCESS only if it exited with 0 and left its result file."""
        arguments = self._arguments[_argument(self.full_command, "--function_to_execute")]
        try:
            with _open_engine() as client:
                end = self._run_container(client, arguments)
        except (DockerException, Unavailable) as failure:
            _print(ERROR_LINE.format(code=Unavailable.exit_code, message=one_line(failure)))
            return Status.FAILURE
        executor_input = json.loads(_argument(self.full_command, "--executor_input"))
        if end.code == 0 and Path(executor_input["outputs"]["outputFile"]).is_file():
            return Status.SUCCESS
        if end.lacked_memory:
            limit = arguments["mem_limit"]
            _print(f"the container was killed: it may use {limit:,} bytes of memory")
            return Status.FAILURE
        ended = "was killed" if end.code == _KILLED else f"ended with code {end.code}"
        _print(f"the container {ended}" + ("" if end.code else " and left no result"))
        return Status.FAILURE

    def _run_container(self, client: docker.DockerClient, arguments: dict[str, Any]) -> _End:
        """Run the container, print its output and return how it ended."""
        variables = self.env_vars | arguments.get("environment", {})
        container = client.containers.create(
            self.image,
            self.full_command,
            volumes=self.get_volumes_to_mount(client),
            **arguments | {"environment": variables},
        )
        self._running.add(container)
        try:
            container.start()
            for line in container.logs(stream=True, follow=True):
                sys.stdout.write(line.decode(errors="replace"))
            code = int(container.wait()["StatusCode"])
            container.reload()
            # Also where it only lost a process to it.
            return _End(code, code != 0 and container.attrs["State"].get("OOMKilled", False))
        finally:
            self._running.discard(container)
            _remove(container)


def _remove(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.remove(force=True)


def _argument(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


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


def step_arguments(
    engine: Mapping[str, Any], settings: RunSettings, containers: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what each step's container may and sees.

    Args:
        engine: What the engine says of itself.
        settings: The settings of the run, with absolute paths.
        containers: The steps' containers, as the compiled pipeline has them.

    Returns:
        Arguments of docker-run(1) by the name of the step's function, such as "train_keypoints".
    """
    common = {
        # In the containers of a rootless engine its user is root.
        "user": "0:0" if _is_rootless(engine) else f"{os.getuid()}:{os.getgid()}",
        "network_mode": "none",
        "read_only": True,
        "tmpfs": {"/tmp": ""},  # noqa: S108 - the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", "label=disable"],
    }
    storage_arguments = _storage_arguments(settings)
    arguments = {}
    for container in containers:
        function = _argument(container["args"], "--function_to_execute")
        step = function.replace("_", "-")
        arguments[function] = common | _limits(engine, container)
        if STEPS[step].uses_storage:
            arguments[function] |= storage_arguments
        if step in _NETWORKED:
            arguments[function]["network_mode"] = "host"
    return arguments


def _storage_arguments(settings: RunSettings) -> dict[str, Any]:
    """Return what the steps have that use sources, checkpoints or the registry."""
    inputs = _input_uris((settings.keypoints, settings.expression))
    outputs = [settings.registry, settings.checkpoints]
    if not any(map(storage.is_remote, [*inputs, *outputs])):
        return {"mounts": [*_mounts(writable=outputs, readable=inputs)]}
    variables = {name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ}
    credentials = [v for name, v in variables.items() if name.endswith("CREDENTIALS")]
    return {
        "environment": variables,
        "mounts": [*_mounts(writable=outputs, readable=[*inputs, *credentials])],
        "network_mode": "host",
    }


def _limits(engine: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, int]:
    """Return a step's limits, but those that the engine cannot set here."""
    limits: dict[str, int] = {}
    if engine.get("MemoryLimit"):
        memory = in_bytes(container["resources"]["resourceMemoryLimit"])
        # The second is the sum with the swap: there is none.
        limits |= {"mem_limit": memory, "memswap_limit": memory}
    if engine.get("PidsLimit"):
        limits["pids_limit"] = _MAX_PROCESSES
    return limits


def _is_rootless(engine: Mapping[str, Any]) -> bool:
    return "name=rootless" in engine.get("SecurityOptions", [])


def _input_uris(sources: Iterable[str]) -> list[str]:
    """Return the files that the sources consist of; drawn samples have none."""
    files = [source for source in sources if not is_sample(source)]
    beside = [
        uri_of(file) for file in files for uri_of in (subjects_uri, corrections_uri, groups_uri)
    ]
    return [*files, *beside]


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
