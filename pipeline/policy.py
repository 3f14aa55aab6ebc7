"""The image, resources, retries and caching of each step, as data that one function applies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cluster_settings import REVISION_VARIABLE
from emotion_ai.pipeline.placement import (
    check_environment,
    give_certificate,
    give_storage,
    place_task,
)
from emotion_ai.pipeline.resources import StepResources, override_resources
from emotion_ai.pipeline.revisions import program_revision, step_revision
from emotion_ai.pipeline.settings import CompileSettings
from emotion_ai.registry.failures import STEP_VARIABLE

# No request is more than a node of two cores has to give beside its system's pods. Steps were
# measured to need less memory than they request; the limit is room for larger data.
_LIGHT = StepResources(cpu="100m", cpu_limit="1", memory="256M", memory_limit="1G")
_ROWS = StepResources(cpu="500m", cpu_limit="2", memory="512M", memory_limit="2G")
_NETWORK = StepResources(cpu="1", cpu_limit="4", memory="2G", memory_limit="4G")


@dataclass(frozen=True)
class StepPolicy:
    """How a step runs.

    Attributes:
        image: A target of docker/Dockerfile.
        resources: Requests and limits.
        retried: Whether a failed step is tried again, as often as the environment says.
        cached: Whether KFP may reuse the results of an earlier run.
        uses_storage: Whether it reads or writes sources, checkpoints or the registry.
        asks_servers: Whether it asks the servers of a cluster.
    """

    image: str = "base"
    resources: StepResources = _LIGHT
    retried: bool = True
    cached: bool = True
    uses_storage: bool = True
    asks_servers: bool = False


# A step that reads or changes anything outside its artifacts is never cached. Training is retried
# because it resumes from its checkpoint; a verdict is not, because it would not change.
STEPS: dict[str, StepPolicy] = {
    "resolve": StepPolicy(cached=False, asks_servers=True),
    "ingest": StepPolicy(resources=_ROWS),
    "prepare": StepPolicy(resources=_ROWS, uses_storage=False),
    "train-keypoints": StepPolicy("train", _NETWORK),
    "train-expression": StepPolicy("train", _NETWORK),
    "evaluate": StepPolicy("train", _NETWORK, retried=False),
    "record": StepPolicy(cached=False),
    "combine": StepPolicy("train", _NETWORK, retried=False, uses_storage=False),
    "validate": StepPolicy("train", _NETWORK, retried=False, uses_storage=False),
    "push": StepPolicy(cached=False),
    "reject": StepPolicy(cached=False),
    "rollout": StepPolicy(cached=False, retried=False, asks_servers=True),
    "notify": StepPolicy(cached=False),
}

# What an image starts besides steps: in a cluster `base` fetches the release that `serve` serves.
PROGRAMS = {
    "base": "emotion_ai.registry.fetching",
    "client": "emotion_ai.pipeline.cli.__main__",
    "serve": "emotion_ai.server.__main__",
}

ConfigureTask = Callable[[Any, str], Any]


def program_tag(target: str) -> str:
    """Return the tag to name an image by if its program is started: the program's revision.

    Args:
        target: A target of docker/Dockerfile.

    Raises:
        InputError: The image has no program.
    """
    if target not in PROGRAMS:
        raise InputError(f"image {target} has no program; expected {', '.join(PROGRAMS)}")
    return program_revision(PROGRAMS[target])


def image_tags(target: str) -> list[str]:
    """Return the tags of an image: the revisions of its program and of each step that runs in it.

    A cached step's image must keep its name while code that the step does not run changes, so one
    image has several tags.

    Args:
        target: A target of docker/Dockerfile, such as "train".

    Returns:
        Tags, sorted, without duplicates.
    """
    image = target.removesuffix("-gpu")
    tags = {step_revision(step) for step, policy in STEPS.items() if policy.image == image}
    if image in PROGRAMS:
        tags.add(program_tag(image))
    return sorted(tags)


def task_configurer(settings: CompileSettings) -> ConfigureTask:
    """Return a function that applies a step's policy and an environment's settings to a task.

    Args:
        settings: The environment's compile-time settings.

    Returns:
        `configure(task, display_name)`, which returns the task.

    Raises:
        InputError: A variable of the steps is set twice, or a limit is below its request.

    Example:
        configure = task_configurer(CompileSettings(image="registry.example.com/emotion-ai"))
        configure(resolve(...), "resolve sources")
    """
    check_environment(settings.cluster)

    def configure(task: Any, display_name: str) -> Any:
        step = task.component_spec.name
        policy = STEPS[step]
        revision = step_revision(step)
        resources = step_resources(step, settings)
        task.set_display_name(display_name)
        task.set_container_image(f"{settings.image}/{_image(step, settings)}:{revision}")
        task.set_cpu_request(resources.cpu).set_cpu_limit(resources.cpu_limit)
        task.set_memory_request(resources.memory).set_memory_limit(resources.memory_limit)
        # Part of the cache's key where steps run without an image, and of the checkpoints' key.
        task.set_env_variable(REVISION_VARIABLE, revision)
        # A pod that failed is known by it.
        task.set_env_variable(STEP_VARIABLE, display_name)
        task.set_caching_options(policy.cached)
        if policy.retried and settings.retries:
            task.set_retry(settings.retries, backoff_duration="30s", backoff_factor=2.0)
        place_task(task, step, settings.cluster)
        if policy.uses_storage:
            give_storage(task, settings.cluster)
        if policy.asks_servers:
            give_certificate(task, settings.cluster)
        return task

    return configure


def step_resources(step: str, settings: CompileSettings) -> StepResources:
    """Return what a step requests and may use in an environment.

    Raises:
        InputError: A limit of the environment is below its request.
    """
    return override_resources(step, STEPS[step].resources, settings.resources.get(step))


def _image(step: str, settings: CompileSettings) -> str:
    """The target of docker/Dockerfile that a step runs in."""
    image = STEPS[step].image
    placement = settings.cluster.steps.get(step)
    if placement is None or not placement.gpu:
        return image
    if image != "train":
        raise InputError(
            f"setting compile.cluster.steps.{step}.gpu = {placement.gpu}: this step computes "
            "nothing on a GPU; leave it out"
        )
    return f"{image}-gpu"
