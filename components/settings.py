"""The base of every pydantic model, and how settings that reach a step are validated.

Nested settings travel as KFP's dicts and lists, which hold every number as a float: 10 arrives as
10.0. Fields of type int accept that, and `restore_integers` undoes it where nothing is validated.
"""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_ai.errors import InputError


class StrictModel(BaseModel):
    """A pydantic model that rejects unknown keys and cannot be changed once it is validated."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


def restore_integers(value: Any) -> Any:
    """Turn whole floats in lists and dicts into ints.

    Example:
        >>> restore_integers({"epochs": 10.0, "widths": [8.0, 16.0], "dropout": 0.2})
        {'epochs': 10, 'widths': [8, 16], 'dropout': 0.2}
    """
    if isinstance(value, Mapping):
        return {key: restore_integers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [restore_integers(item) for item in value]
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


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
        # A dict of models has any keys, and its values are the last argument of its type; the
        # items of a list or a tuple are the first.
        model = field.annotation if field else get_args(model)[0 if isinstance(key, int) else -1]
    return sorted(model.model_fields)
