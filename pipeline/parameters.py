"""The parameters of a pipeline: defaults, checks, and what KFP's compiler is taught about them.

kfp 2.17.0 takes no null within an object, and writes objects into the comment at the top of the
file in an order that differs from process to process.
"""

import copy
import json
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from pydantic import BaseModel

from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.settings import closest_name, restore_integers

# What KFP calls the types, and what a person gives for them.
_EXPECTED = {
    "STRING": "text (digits, true, false and null as text need quotes of their own: '\"2026\"')",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list in JSON, such as '[1, \"champion\"]'",
    "STRUCT": "an object in JSON, such as '{\"accuracy\": 0.6}'",
}
# Numbers travel as floats, which hold no greater ones exactly.
_MAX_INTEGER = 2**53
_MAX_SHOWN = 80


def training_parameters(settings: RunSettings) -> dict[str, Any]:
    """Return the training pipeline's parameters by name, for JSON.

    `run_name` is not among them: each run has its own.
    """
    run = _as_json(settings)
    return {
        "keypoints": run["keypoints"],
        "expression": run["expression"],
        "label_set": run["label_set"],
        "emotions": run["emotions"],
        "registry": run["registry"],
        "checkpoints": run["checkpoints"],
        "seed": run["seed"],
        "init": run["init"],
        "teachers": run["teachers"],
        "force_accept": run["force_accept"],
        "checks": run["checks"],
        "keypoint_augmentation": run["augmentation"]["keypoints"],
        "expression_augmentation": run["augmentation"]["expression"],
        "keypoint_training": run["training"]["keypoints"],
        "expression_training": run["training"]["expression"],
        "gate": run["gate"],
        "validation": run["validation"],
        "target": run["serving"]["target"],
        "server": run["serving"]["server"],
        "keep": run["serving"]["keep"],
        "rollout_settings": run["serving"]["rollout"],
        "retention": run["retention"],
    }


def rollout_parameters(settings: RunSettings) -> dict[str, Any]:
    """Return the rollout pipeline's parameters that have defaults, by name, for JSON."""
    names = ("registry", "target", "server", "rollout_settings")
    parameters = training_parameters(settings)
    return {name: parameters[name] for name in names}


def check_parameters(given: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Compare a run's parameters with what a compiled pipeline declares.

    The API server of Kubeflow Pipelines compares too, once the pipeline is uploaded.

    Args:
        given: The parameters by name, as JSON values.
        spec: The compiled pipeline.

    Raises:
        InputError: A name is unknown, a value is of another type, or one that must be given is not.
    """
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, value in given.items():
        if name not in declared:
            raise InputError(
                f"parameter {name!r} is unknown; the pipeline knows {', '.join(sorted(declared))}"
                f"{closest_name(name, declared)}"
            )
        kind = declared[name]["parameterType"]
        if kind in _EXPECTED and not _is_of_type(value, kind):
            raise InputError(f"parameter {name} = {_shown(value)}: expected {_EXPECTED[kind]}")
    for name, definition in declared.items():
        optional = definition.get("isOptional") or "defaultValue" in definition
        if name not in given and not optional:
            raise InputError(f"parameter {name!r} has no default and is not given")


def _is_of_type(value: Any, kind: str) -> bool:
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "LIST":
            return isinstance(value, list) and _is_json(value)
        case "STRUCT":
            return isinstance(value, dict) and _is_json(value)
    # In Python a bool is a number too.
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    if kind == "NUMBER_DOUBLE":
        return isinstance(value, int) or math.isfinite(value)
    return abs(value) <= _MAX_INTEGER and value == int(value)


def _is_json(value: Any) -> bool:
    """Whether a value has no NaN or infinity, which Python reads and others do not."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _as_json(settings: BaseModel) -> dict[str, Any]:
    """Dump settings without the nulls that are a field's default: they say nothing in a form."""
    values = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            values[name] = _as_json(value)
        elif value is None and field.default is None:
            del values[name]
    return values


def prepare_compiler() -> None:
    """Make KFP take nulls within objects, and write the same comment each time.

    Defaults stand in the comment as KFP's command line takes them.
    """
    from google.protobuf import struct_pb2
    from kfp.compiler import pipeline_spec_builder as builder

    to_value: Callable[[Any], Any] = builder.to_protobuf_value
    write_comment: Callable[[dict[str, Any], str], str] = (
        builder.extract_comments_from_pipeline_spec
    )
    if hasattr(to_value, "__wrapped__"):
        return

    @wraps(to_value)
    def to_value_or_null(value: Any) -> Any:
        if value is None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        return to_value(value)

    @wraps(write_comment)
    def write_json_comment(pipeline_spec: dict[str, Any], description: str) -> str:
        spec = copy.deepcopy(pipeline_spec)
        inputs = spec["root"].get("inputDefinitions", {})
        for parameter in inputs.get("parameters", {}).values():
            if "defaultValue" in parameter:
                parameter["defaultValue"] = _as_text(parameter["defaultValue"])
        return write_comment(spec, description)

    builder.to_protobuf_value = to_value_or_null
    builder.extract_comments_from_pipeline_spec = write_json_comment


def _as_text(value: Any) -> Any:
    value = restore_integers(value)
    # A line break would end the comment.
    has_lines = isinstance(value, str) and len(value.splitlines()) > 1
    is_json = has_lines or isinstance(value, dict | list)
    return json.dumps(value, sort_keys=True) if is_json else value
