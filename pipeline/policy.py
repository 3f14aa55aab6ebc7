"""Where and how each step runs: image, resources, retries, caching. Data, applied in one place."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import emotion_ai
from emotion_ai.pipeline.settings import CompileSettings


@dataclass(frozen=True)
class StepPolicy:
    """One step's needs; `image` is a target of docker/Dockerfile, cpu and memory are requests."""

    image: str = "base"
    cpu: str = "500m"
    memory: str = "1G"
    retried: bool = True
    cached: bool = True


# A step that looks at or changes the world outside its artifacts is never cached. Training is
# retried because it resumes from its checkpoint; a verdict is not, because it would not change.
STEPS: dict[str, StepPolicy] = {
    "resolve": StepPolicy(cached=False),
    "ingest": StepPolicy(cpu="1", memory="2G"),
    "prepare": StepPolicy(cpu="1", memory="2G"),
    "train-keypoints": StepPolicy(image="train", cpu="2", memory="4G"),
    "train-expression": StepPolicy(image="train", cpu="2", memory="4G"),
    "evaluate": StepPolicy(image="train", cpu="2", memory="4G", retried=False),
    "record": StepPolicy(cached=False),
    "combine": StepPolicy(image="train", cpu="1", memory="3G", retried=False),
    "validate": StepPolicy(image="train", cpu="2", memory="4G", retried=False),
    "push": StepPolicy(cached=False),
    "reject": StepPolicy(cached=False),
    "rollout": StepPolicy(cached=False, retried=False),
    "notify": StepPolicy(cached=False),
}

Place = Callable[..., Any]


@cache
def code_revision() -> str:
    """Twelve hexadecimal digits over the sources of the package `components`.

    The DAG itself needs no part in it: what it passes to a step is in the step's cache key.
    """
    root = Path(emotion_ai.__path__[0])
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in (".py", ".binpb", ".npz") and root / "pipeline" not in path.parents:
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def placement(settings: CompileSettings) -> Place:
    """A function that gives a task the place its step's policy and the environment say.

    `place(task, "display name")` returns the task.
    """
    revision = code_revision()

    def place(task: Any, display_name: str) -> Any:
        step = task.component_spec.name
        policy = STEPS[step]
        override = settings.resources.get(step)
        cpu, memory = (override.cpu, override.memory) if override else (policy.cpu, policy.memory)
        task.set_display_name(display_name)
        task.set_container_image(f"{settings.image}/{policy.image}:{revision}")
        task.set_cpu_request(cpu).set_cpu_limit(cpu)
        task.set_memory_request(memory).set_memory_limit(memory)
        task.set_env_variable("EMOTION_AI_REVISION", revision)
        task.set_caching_options(policy.cached)
        if policy.retried and settings.retries:
            task.set_retry(settings.retries, backoff_duration="30s", backoff_factor=2.0)
        return task

    return place
