"""The base of every pydantic model, and how settings that reach a step are validated.

Nested settings travel as KFP's dicts and lists, which hold every number as a float: 10 arrives as
10.0. Fields of type int accept that, and `restore_integers` undoes it where nothing is validated.
"""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from emotion_ai.errors import InputError
from emotion_ai.storage.uri import hide_password

# What is expected where pydantic finds something else, by its name for the error.
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number with fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "mapping_type": "keys and values",
    "model_type": "keys and values",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "text",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
    "tuple_type": "a list",
}
_INVALID_KEY = "invalid_key"
# What pydantic calls the place of a key that its type refuses.
_KEY = "[key]"
_MAX_SHOWN = 100


class StrictModel(BaseModel):
    """A pydantic model that rejects unknown keys, NaN and infinity, and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_truth(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads yes, no, on and off as true and false, which Python takes for 1 and 0."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and _is_number(annotation):
            raise PydanticCustomError("number", "expected a number")
        return value


Model = TypeVar("Model", bound=BaseModel)


def matching(pattern: str, expected: str) -> AfterValidator:
    """Return a validator of texts that match a pattern from their beginning to their end.

    Args:
        pattern: A regular expression.
        expected: What is expected, in words; messages say it.
    """
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise PydanticCustomError("pattern", "expected {expected}", {"expected": expected})
        return text

    return AfterValidator(check)


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
        name: What messages call these settings, such as "gate"; "" for nothing.

    Returns:
        The settings as an instance of `model`.

    Raises:
        InputError: A setting is unknown or invalid; names the setting, its value and what was
            expected. The content of lists and dicts is not told, nor is a password in a URI.

    Example:
        >>> validate_settings(DataChecks, {"max_rows": 0}, "checks")
        Traceback (most recent call last):
        InputError: setting checks.max_rows = 0: expected at least 1
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        # A misspelt key is often why another one is missing.
        errors = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        raise InputError(_sentence(errors[0], model, name)) from None


def require_whole(value: Any, name: str, at_least: int = 0) -> int:
    """Return a parameter of a step as an integer, which KFP may have made a float.

    Raises:
        InputError: It is no whole number, or too small; names the setting.

    Example:
        >>> require_whole(7.0, "seed")
        7
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value != int(value):
        raise InputError(f"setting {name} = {_shown(value)}: expected a whole number")
    if value < at_least:
        raise InputError(f"setting {name} = {int(value)}: expected at least {at_least}")
    return int(value)


@contextlib.contextmanager
def naming(place: str) -> Iterator[None]:
    """Put the name of a setting or a file before the message of an `InputError` in the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _is_number(annotation: Any) -> bool:
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return any(map(_is_number, get_args(annotation)))
    return annotation in (int, float)


def _sentence(error: ErrorDetails, model: type[BaseModel], name: str) -> str:
    kind, location = error["type"], error["loc"]
    if location[-1:] == (_KEY,):
        setting = _dotted(name, location[:-1])
        return f"setting {setting}: {_shown(error['input'])} is no name here; {_expected(error)}"
    setting = _dotted(name, location)
    if kind == _INVALID_KEY:
        return f"setting {setting}: expected a name as key, in quotes where it looks like a number"
    if kind == "missing":
        return f"setting {setting} is missing"
    if kind == "extra_forbidden":
        parent = _dotted(name, location[:-1])
        known = _known_keys(model, location[:-1])
        return (
            f"setting {setting} is unknown; {f'{parent} knows' if parent else 'known are'} "
            f"{', '.join(known)}{closest_name(str(location[-1]), known)}"
        )
    return f"setting {setting}{_found(error)}"


def closest_name(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that asks whether a known name was meant; "" if none is like it.

    Example:
        >>> closest_name("sead", ["seed", "keep"])
        '; did you mean seed?'
    """
    closest = get_close_matches(name, known, n=1)
    return f"; did you mean {closest[0]}?" if closest else ""


def _dotted(name: str, location: tuple[int | str, ...]) -> str:
    return ".".join([*([name] if name else []), *map(str, location)])


def _found(error: ErrorDetails) -> str:
    """What was found and what was expected; lists and dicts may hold what is not to be told."""
    value, expected = error["input"], _expected(error)
    if not isinstance(value, Mapping | list | tuple):
        return f" = {_shown(value)}: {expected}"
    if error["type"] not in _EXPECTED or error["type"] in ("too_long", "too_short"):
        return f": {expected}"
    held = "keys and values" if isinstance(value, Mapping) else "a list"
    return f" holds {held}: {expected}"


def _expected(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"expected {context['expected']}".replace("'", "")
    if kind not in _EXPECTED:
        return error["msg"]
    expected = f"expected {_EXPECTED[kind].format(**restore_integers(context))}"
    is_plain = isinstance(error["input"], bool | int | float)
    return f"{expected}, in quotes" if kind == "string_type" and is_plain else expected


def _shown(value: Any) -> str:
    """A value as a settings file has it, without passwords."""
    if isinstance(value, str):
        text = repr(hide_password(value))
    elif value is None or isinstance(value, bool):
        text = json.dumps(value)
    else:
        text = str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _known_keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The keys of the model that is nested at a location of another one."""
    for key in location:
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        # A dict of models has any keys, and its values are the last argument of its type; the
        # items of a list or a tuple are the first.
        model = field.annotation if field else get_args(model)[0 if isinstance(key, int) else -1]
        if get_origin(model) in (Union, UnionType):
            model = next(kind for kind in get_args(model) if kind is not type(None))
    return sorted(model.model_fields)
