"""What can be told of the values of a schedule or a run before they are sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from emotion_ai.sources.uri import is_sample
from emotion_ai.steps.resolve.checks import check_settings


def check_values(given: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Check the values that the first step would refuse.

    Args:
        given: The parameters by name; the others have the pipeline's defaults.
        spec: The compiled pipeline.

    Raises:
        InputError: A value is invalid, or values do not go together.
    """
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    defaults = {
        name: definition["defaultValue"]
        for name, definition in declared.items()
        if "defaultValue" in definition
    }
    values = defaults | dict(given)
    check_settings(values["keypoints"], values["expression"], values)


def cautions(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each value that is allowed, and seldom meant.

    Args:
        values: The pipeline's parameters by name.
    """
    for name in ("keypoints", "expression"):
        if is_sample(str(values[name])):
            yield (
                f"{name} is {values[name]}: it trains on drawn faces; name yours with {name}=URI, "
                f"or as run.{name} in the environment"
            )
