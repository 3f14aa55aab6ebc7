"""Predict requests and responses as TensorFlow Serving's JSON.

Source: tensorflow_serving/util/json_tensor.cc. Its format is described in
https://www.tensorflow.org/tfx/serving/api_rest. Does not import TensorFlow.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.signature import DEFAULT_SIGNATURE, InputSpec, Signature
from emotion_ai.serving_api.messages import PredictRequest
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

# Reading JSON holds everybody up: some 40 ms for as many lists of one number each, seven faces.
MAX_VALUES = 1 << 17
_DT_BOOL, _DT_STRING = 10, 7
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    9: np.dtype(np.int64),
    _DT_BOOL: np.dtype(bool),
}
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
_SHOWN_CHARACTERS = 60
# More than any signature has.
_MAX_RANK = 32


class JsonRequest(NamedTuple):
    """A Predict request that came as JSON.

    Attributes:
        message: The `PredictRequest`, without the model's name and version.
        write: Writes its `PredictResponse` as JSON in the same form: by row or by name.
    """

    message: Any
    write: Callable[[Any], str]


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the object that a request's body is.

    Raises:
        StatusError: INVALID_ARGUMENT for other JSON, no JSON, and too much of it.
    """
    values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if values > MAX_VALUES:
        raise invalid_argument(
            f"JSON of {values} values and lists; at most {MAX_VALUES} are read: send fewer faces, "
            'or pictures to the signature "encoded", or ask over gRPC'
        )
    try:
        document = json.loads(body) if body else None
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from None
    except (ValueError, RecursionError):
        # Bytes that are no text, numbers of thousands of digits, thousands of lists in each other.
        raise invalid_argument("JSON Parse error: Invalid value.") from None
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {_show(document)} Is not object")
    return document


def read_request(document: Mapping[str, Any], signatures: Mapping[str, Signature]) -> JsonRequest:
    """Read the tensors of a request.

    Args:
        document: What `parse_body` returned.
        signatures: The model's signatures by name.

    Raises:
        StatusError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for inputs that
            are missing, unknown or of another type, and for lists of unequal lengths.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument("'signature_name' key must be a string value.")
    signature = signatures.get(name or DEFAULT_SIGNATURE)
    if signature is None:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION,
            f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.',
        )
    write = _write_outputs
    if "instances" in document and "inputs" in document:
        raise invalid_argument("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        values, write = _by_name(document["instances"], list(signature.inputs)), _write_predictions
    elif "inputs" in document:
        values = _named(document["inputs"], list(signature.inputs), "'inputs' object")
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    request = PredictRequest()
    request.model_spec.signature_name = name
    for alias, value in values.items():
        fill_tensor(request.inputs[alias], _to_array(alias, value, signature.inputs[alias]))
    return JsonRequest(request, write)


def _by_name(instances: Any, names: list[str]) -> dict[str, list[Any]]:
    """Turn a list of instances into a list of values for each input."""
    if not isinstance(instances, list):
        raise invalid_argument("Excepting 'instances' value to be an list/array")
    if not instances:
        raise invalid_argument("No values in 'instances' array")
    rows = [
        _named(instance, names, f"element {number} of 'instances'")
        for number, instance in enumerate(instances)
    ]
    return {name: [row[name] for row in rows] for name in names}


def _named(value: Any, names: list[str], where: str) -> dict[str, Any]:
    """Return the value of each input; the only one needs no name."""
    if isinstance(value, dict) and not _is_base64(value):
        missing, unknown = sorted(set(names) - set(value)), sorted(set(value) - set(names))
        if missing:
            raise invalid_argument(f"Missing named input: {missing[0]} in {where}.")
        if unknown:
            raise invalid_argument(
                f"{where}: keys must be equal to: {','.join(sorted(names))}, "
                f"but there is {_show(unknown[0])}"
            )
        return value
    if len(names) > 1:
        raise invalid_argument(
            f"{where}: is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map"
        )
    return {names[0]: value}


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _to_array(alias: str, value: Any, expected: InputSpec) -> NDArray:
    shape, elements = _flatten(alias, value)
    if expected.dtype == _DT_STRING:
        array = np.empty(len(elements), dtype=object)
        array[:] = [_to_bytes(alias, element) for element in elements]
        return array.reshape(shape)
    dtype = _DTYPES.get(expected.dtype)
    if dtype is None:
        raise StatusError(StatusCode.UNIMPLEMENTED, f"{alias}: cannot be sent as JSON")
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
        if len(shape) > _MAX_RANK:
            raise invalid_argument(
                f"{alias}: Encountered list at unexpected level: {len(shape)} "
                f"expected < {_MAX_RANK}"
            )
        elements = list(chain.from_iterable(elements))
    return shape, elements


def _to_bytes(alias: str, element: Any) -> bytes:
    if isinstance(element, str):
        # A half of a pair of surrogates, which JSON can escape, is no text.
        return element.encode(errors="replace")
    if not _is_base64(element):
        raise invalid_argument(
            f"{alias}: JSON Value: {_show(element)} Type: {_NAMES[type(element)]} is not of "
            'expected type: string; bytes are {"b64": "..."}'
        )
    text = element["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument(f"{alias}: Unable to base64 decode") from None


def _type_error(alias: str, element: Any, dtype: np.dtype) -> StatusError:
    return invalid_argument(
        f"{alias}: JSON Value: {_show(element)} Type: {_NAMES[type(element)]} is not of expected "
        f"type: {dtype}"
    )


def _show(value: Any) -> str:
    # Long numbers cannot be written, and what is written is cut.
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        return "..."
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _write_outputs(response: Any) -> str:
    return json.dumps({"outputs": _unwrap(_read_outputs(response))})


def _write_predictions(response: Any) -> str:
    outputs = _read_outputs(response)
    sizes = {name: len(value) if isinstance(value, list) else -1 for name, value in outputs.items()}
    rows = max(0, *sizes.values())
    for alias, size in sizes.items():
        if size != rows:
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {rows}"
            )
    table = zip(*outputs.values(), strict=True)
    predictions = [dict(zip(outputs, row, strict=True)) for row in table]
    return json.dumps({"predictions": [_unwrap(prediction) for prediction in predictions]})


def _read_outputs(response: Any) -> dict[str, Any]:
    outputs = sorted(response.outputs.items())
    return {alias: _to_json(alias, read_tensor(proto)) for alias, proto in outputs}


def _unwrap(named: dict[str, Any]) -> Any:
    """The only one needs no name."""
    return next(iter(named.values())) if len(named) == 1 else named


def _to_json(alias: str, array: NDArray) -> Any:
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
