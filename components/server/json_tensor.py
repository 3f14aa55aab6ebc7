"""JSON values as arrays, and arrays as JSON values.

Rules and messages are TensorFlow Serving's: tensorflow_serving/util/json_tensor.cc.
"""

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.bounded_json import show
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.serving_api.tensors import numpy_dtype

# Python's types of JSON values; json.loads makes nothing else of them.
_NAMES = {
    type(None): "Null",
    bool: "Boolean",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    dict: "Object",
}
# By numpy.dtype.kind.
_ALLOWED: dict[str, set[type]] = {"b": {bool}, "i": {int}, "u": {int}, "f": {int, float}}
# Of base64: whole groups of four.
_PIECE_CHARACTERS = 1 << 19
# More than any signature has.
MAX_RANK = 32


def to_array(alias: str, value: Any, data_type: int) -> NDArray:
    """Return lists of lists of numbers or texts as an array.

    Args:
        alias: The input's name, for messages.
        value: What JSON has; bytes are {"b64": "..."}.
        data_type: The number of a `tensorflow.DataType`.

    Raises:
        StatusError: INVALID_ARGUMENT for values of another type, and lists of unequal lengths.
    """
    dtype = numpy_dtype(data_type)
    if dtype is None:
        raise StatusError(StatusCode.UNIMPLEMENTED, f"{alias}: cannot be sent as JSON")
    shape, elements = _flatten(alias, value)
    if dtype.kind == "O":
        array = np.empty(len(elements), dtype=object)
        array[:] = [_to_bytes(alias, element) for element in elements]
        return array.reshape(shape)
    allowed = _ALLOWED[dtype.kind]
    if set(map(type, elements)) - allowed:
        wrong = next(element for element in elements if type(element) not in allowed)
        raise _type_error(alias, wrong, dtype)
    if dtype.kind in "iu" and elements:
        limits = np.iinfo(dtype)
        for extreme in (min(elements), max(elements)):
            if not limits.min <= extreme <= limits.max:
                raise _type_error(alias, extreme, dtype)
    return _to_numbers(alias, elements, dtype).reshape(shape)


def _to_numbers(alias: str, elements: list[Any], dtype: np.dtype) -> NDArray:
    with np.errstate(over="raise"):
        try:
            return np.array(elements, dtype=np.float64 if dtype.kind == "f" else dtype).astype(
                dtype
            )
        except (OverflowError, FloatingPointError):
            raise invalid_argument(
                f"{alias}: a number cannot be converted to {dtype} without loss of precision."
            ) from None


def _flatten(alias: str, value: Any) -> tuple[list[int], list[Any]]:
    """Return the shape of lists of lists, and their elements."""
    shape: list[int] = []
    elements = [value]
    while elements and (kinds := {type(element) is list for element in elements}) != {False}:
        if kinds == {True, False}:
            raise invalid_argument(
                f"{alias}: values and lists found side by side at level: {len(shape)}"
            )
        sizes = set(map(len, elements))
        if len(sizes) > 1:
            raise invalid_argument(
                f"{alias}: Encountered list at unexpected size: {max(sizes)} at level: "
                f"{len(shape)} expected size: {min(sizes)}"
            )
        shape += sizes
        if len(shape) > MAX_RANK:
            raise invalid_argument(
                f"{alias}: Encountered list at unexpected level: {len(shape)} expected < {MAX_RANK}"
            )
        elements = list(chain.from_iterable(elements))
    return shape, elements


def _to_bytes(alias: str, element: Any) -> bytes:
    if isinstance(element, str):
        # A half of a pair of surrogates, which JSON can escape, is no text.
        return element.encode(errors="replace")
    if not is_base64(element):
        raise invalid_argument(
            f"{alias}: JSON Value: {show(element)} Type: {_NAMES[type(element)]} is not of "
            'expected type: string; bytes are {"b64": "..."}'
        )
    text = element["b64"].rstrip("=")
    text += "=" * (-len(text) % 4)
    try:
        # In pieces, between which others have their turn.
        return b"".join(
            base64.b64decode(text[start : start + _PIECE_CHARACTERS], validate=True)
            for start in range(0, len(text), _PIECE_CHARACTERS)
        )
    except (binascii.Error, ValueError):
        raise invalid_argument(f"{alias}: Unable to base64 decode") from None


def _type_error(alias: str, element: Any, dtype: np.dtype) -> StatusError:
    return invalid_argument(
        f"{alias}: JSON Value: {show(element)} Type: {_NAMES[type(element)]} is not of expected "
        f"type: {dtype}"
    )


def is_base64(value: Any) -> bool:
    """Whether a JSON value stands for bytes."""
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def to_json(alias: str, array: NDArray) -> Any:
    """Return an array as lists of lists of JSON values."""
    if array.dtype == object:
        # TensorFlow Serving's rule for bytes that are no text.
        write = _write_binary if alias.endswith("_bytes") else _write_text
        return np.frompyfunc(write, 1, 1)(array).tolist()
    if array.dtype == np.float32:
        # The shortest digits that mean this float32: 0.2, not 0.20000000298.
        return array.astype(str).astype(np.float64).tolist()
    return array.tolist()


def _write_binary(element: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(element).decode()}


def _write_text(element: bytes) -> str:
    return element.decode(errors="replace")
