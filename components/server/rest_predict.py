"""Predict requests and responses as TensorFlow Serving's JSON.

Source: tensorflow_serving/util/json_tensor.cc. Its format is described in
https://www.tensorflow.org/tfx/serving/api_rest. Does not import TensorFlow.
"""

import json
from collections.abc import Mapping
from typing import Any

from grpc import StatusCode

from emotion_ai.server.bounded_json import show
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.json_tensor import is_base64, to_array, to_json
from emotion_ai.server.predict_request import Incoming, Outputs
from emotion_ai.server.signature import DEFAULT_SIGNATURE, Signature
from emotion_ai.serving_api.messages import PredictRequest
from emotion_ai.serving_api.tensors import fill_tensor


def read_request(document: Mapping[str, Any], signatures: Mapping[str, Signature]) -> Incoming[str]:
    """Read the tensors of a request.

    Args:
        document: What `bounded_json.parse_object` returned.
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
        fill_tensor(request.inputs[alias], to_array(alias, value, signature.inputs[alias].dtype))
    return Incoming(request, write)


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
    if isinstance(value, dict) and not is_base64(value):
        missing, unknown = sorted(set(names) - set(value)), sorted(set(value) - set(names))
        if missing:
            raise invalid_argument(f"Missing named input: {missing[0]} in {where}.")
        if unknown:
            raise invalid_argument(
                f"{where}: keys must be equal to: {','.join(sorted(names))}, "
                f"but there is {show(unknown[0])}"
            )
        return value
    if len(names) > 1:
        raise invalid_argument(
            f"{where}: is a plain value/list, but expecting an object as multiple input tensors "
            "required as per tensorinfo_map"
        )
    return {names[0]: value}


def _write_outputs(outputs: Outputs) -> str:
    return json.dumps({"outputs": _unwrap(_to_values(outputs))})


def _write_predictions(outputs: Outputs) -> str:
    values = _to_values(outputs)
    sizes = {name: len(value) if isinstance(value, list) else -1 for name, value in values.items()}
    rows = max(0, *sizes.values())
    for alias, size in sizes.items():
        if size != rows:
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {size} expecting: {rows}"
            )
    table = zip(*values.values(), strict=True)
    predictions = [dict(zip(values, row, strict=True)) for row in table]
    return json.dumps({"predictions": [_unwrap(prediction) for prediction in predictions]})


def _to_values(outputs: Outputs) -> dict[str, Any]:
    return {alias: to_json(alias, array) for alias, array in sorted(outputs.arrays.items())}


def _unwrap(named: dict[str, Any]) -> Any:
    """The only one needs no name."""
    return next(iter(named.values())) if len(named) == 1 else named
