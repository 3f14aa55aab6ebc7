"""Requests and limits of the steps, and what an environment makes of them."""

from typing import Any

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.policy import STEPS, step_resources
from emotion_ai.pipeline.resources import StepResources, largest_requests
from emotion_ai.pipeline.settings import CompileSettings

STEP = "train-expression"


def in_force(**override: Any) -> StepResources:
    settings = CompileSettings.model_validate({"resources": {STEP: override}})
    return step_resources(STEP, settings)


def test_environment_overrides_what_it_names() -> None:
    own = STEPS[STEP].resources
    assert in_force() == own
    assert in_force(cpu_limit="16") == StepResources(own.cpu, "16", own.memory, own.memory_limit)
    assert in_force(cpu="500m", cpu_limit="2.5", memory="3Gi", memory_limit="6Gi") == (
        StepResources("500m", "2.5", "3Gi", "6Gi")
    )


def test_a_request_without_a_limit_is_the_limit_too() -> None:
    changed = in_force(cpu="8", memory="16G")
    assert changed == StepResources("8", "8", "16G", "16G")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"cpu_limit": "500m"}, "cpu_limit = '500m': expected at least the request, 1"),
        ({"memory": "4Gi", "memory_limit": "4G"}, "memory_limit = '4G': expected at least"),
    ],
)
def test_a_limit_below_its_request_is_refused(override: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=f"setting compile.resources.{STEP}.{message}"):
        in_force(**override)


def test_largest_requests_compare_amounts_and_not_texts() -> None:
    light = StepResources("900m", "1", "1000M", "1G")
    heavy = StepResources("1", "1", "1Gi", "2Gi")
    largest = largest_requests([("light", light), ("heavy", heavy)])
    assert largest == ("1", "heavy", "1Gi", "heavy")
