"""The base of every pydantic model, and how settings that reach a step as JSON are validated.

Settings travel as JSON text and not as KFP's dicts: those turn every int into a float, and a
pipeline with a dict among its defaults compiles to other bytes each time.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_ai.errors import InputError


class StrictModel(BaseModel):
    """A pydantic model that rejects unknown keys and cannot be changed once it is validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def parse_json_object(text: str, name: str) -> dict[str, Any]:
    """Parse settings from a JSON object; the empty text is an empty object.

    Args:
        text: The JSON text.
        name: What messages call these settings, such as "gate".

    Returns:
        The settings by key, not yet validated.

    Raises:
        InputError: The text is not JSON, or not an object.
    """
    try:
        values = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InputError(f"setting {name}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"setting {name}: expected a JSON object")
    return values


def validate_settings(model: type[Model], values: Mapping[str, Any], name: str) -> Model:
    """Validate settings against a pydantic model.

    Args:
        model: The model's class.
        values: The settings by key.
        name: What messages call these settings, such as "gate".

    Returns:
        The settings as an instance of `model`.

    Raises:
        InputError: A setting is unknown or invalid; names the setting, its value and what was
            expected.

    Example:
        >>> validate_settings(DataChecks, {"max_rows": 0}, "checks")
        Traceback (most recent call last):
        InputError: setting checks.max_rows = 0: Input should be greater than or equal to 1
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # A misspelt key is often why another one is missing.
        errors = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        first = errors[0]
        setting = ".".join([name, *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            parent = ".".join([name, *map(str, first["loc"][:-1])])
            known = ", ".join(_known_keys(model, first["loc"][:-1]))
            raise InputError(f"setting {setting} is unknown; {parent} knows {known}") from None
        raise InputError(f"setting {setting} = {first['input']!r}: {first['msg']}") from None


def _known_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that is nested at a location of another one."""
    for key in location:
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        # A dict of models has any keys; its values are the last argument of its type.
        model = field.annotation if field else get_args(model)[-1]
    return sorted(model.model_fields)
