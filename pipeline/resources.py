"""What a step asks of a node, and what it may use of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import Resources


@dataclass(frozen=True)
class StepResources:
    """Requests and limits of a step, in Kubernetes' notation.

    A pod waits until a node has what it requests, for ever if no node does: requests are small, and
    limits above them.

    Attributes:
        cpu: CPUs that a node must have free.
        cpu_limit: CPUs that it may use.
        memory: Memory that a node must have free.
        memory_limit: Memory that it may use; more ends it.
    """

    cpu: str
    cpu_limit: str
    memory: str
    memory_limit: str


class LargestRequests(NamedTuple):
    """The largest requests among some steps, each with the step that has it."""

    cpu: str
    cpu_step: str
    memory: str
    memory_step: str


def override_resources(
    step: str, resources: StepResources, override: Resources | None
) -> StepResources:
    """Apply the resources of an environment to those of a step.

    Args:
        step: The step's name.
        resources: The step's own.
        override: Of the environment. A request without a limit is the limit too.

    Raises:
        InputError: A limit is below its request.
    """
    if override is None:
        return resources
    merged = StepResources(
        cpu=override.cpu or resources.cpu,
        cpu_limit=override.cpu_limit or override.cpu or resources.cpu_limit,
        memory=override.memory or resources.memory,
        memory_limit=override.memory_limit or override.memory or resources.memory_limit,
    )
    for name in ("cpu", "memory"):
        request, limit = getattr(merged, name), getattr(merged, f"{name}_limit")
        if _amount(limit) < _amount(request):
            raise InputError(
                f"setting compile.resources.{step}.{name}_limit = {limit!r}: expected at least "
                f"the request, {request}"
            )
    return merged


def largest_requests(steps: Iterable[tuple[str, StepResources]]) -> LargestRequests:
    """Return the largest requests of the steps; of equal ones, the first step's."""
    listed = list(steps)
    cpu_step, by_cpu = max(listed, key=lambda item: _amount(item[1].cpu))
    memory_step, by_memory = max(listed, key=lambda item: _amount(item[1].memory))
    return LargestRequests(by_cpu.cpu, cpu_step, by_memory.memory, memory_step)


def in_bytes(memory: str) -> int:
    """Return an amount of memory in Kubernetes' notation as a number of bytes."""
    return int(_amount(memory))


def _amount(quantity: str) -> Decimal:
    # Imports all of the API client, which KFP has imported where a pipeline is compiled.
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity(quantity))
