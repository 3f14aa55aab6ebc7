"""Settings that reach a step as JSON, checked against a pydantic model in one way.

As JSON text and not as KFP's dicts: those turn every int into a float, and a pipeline with a dict
among its defaults compiles to other bytes each time.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from emotion_ai.errors import InputError

Model = TypeVar("Model", bound=BaseModel)


def from_json(text: str, name: str) -> dict[str, Any]:
    """The settings in a JSON object; `name` is where they stand. Raises `InputError`."""
    try:
        values = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"setting {name}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"setting {name}: expected a JSON object")
    return values


def checked(model: type[Model], values: Mapping[str, Any], name: str) -> Model:
    """The settings `values` as a `model`; `name` is where they stand, such as "gate".

    Raises `InputError` naming the setting that cannot be, its value and what was expected.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join([name, *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(model.model_fields))
            raise InputError(f"setting {setting} is unknown; {name} knows {known}") from None
        raise InputError(f"setting {setting} = {first['input']!r}: {first['msg']}") from None
