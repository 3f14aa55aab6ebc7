"""The rule by which the API server of KFP 2.17.0 takes or refuses a run's parameters."""

from collections.abc import Mapping
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


def refusals(parameters: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Name the parameters that the server refuses before a run exists, each with the reason.

    Args:
        parameters: Of the run, as the client sends them.
        spec: The compiled pipeline.
    """
    declared = spec["root"]["inputDefinitions"]["parameters"]
    refused = [f"{name}: not in the pipeline" for name in parameters if name not in declared]
    for name, definition in declared.items():
        kind = definition["parameterType"]
        if name not in parameters:
            if not definition.get("isOptional") and "defaultValue" not in definition:
                refused.append(f"{name}: no value")
        elif not _is_of(kind, parameters[name]):
            refused.append(f"{name}: requires type {kind}, not {parameters[name]!r}")
    return refused


def _is_of(kind: str, value: Any) -> bool:
    # In Python a bool is an int too.
    return isinstance(value, _TYPES[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))
