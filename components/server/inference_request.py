"""Requests and answers of the Open Inference Protocol, as messages. Does not import TensorFlow."""

from typing import Any

from grpc import StatusCode

from emotion_ai.server.bounded_json import MAX_VALUES
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.inference_tensors import (
    describe,
    fill_contents,
    fill_from_contents,
    fill_from_raw,
    to_raw,
)
from emotion_ai.server.predict_request import Incoming, Outputs
from emotion_ai.serving_api.messages import (
    ModelInferRequest,
    ModelInferResponse,
    ModelSpec,
    PredictRequest,
)
from emotion_ai.serving_api.wire import check_infer_fields

SIGNATURE = "signature_name"
# What Triton has besides: they change what is read or answered, so they cannot be passed over.
_REFUSED = ("shared_memory_region", "classification")
_VERSION_DIGITS = 18


def model_spec(name: str, version: str) -> Any:
    """Return a `ModelSpec`; a version that is no number is a label, "" the newest one."""
    spec = ModelSpec(name=name)
    if version.isascii() and version.isdecimal() and len(version) <= _VERSION_DIGITS:
        spec.version.value = int(version)
    elif version:
        spec.version_label = version
    return spec


def check_parameters(name: str, parameters: Any) -> None:
    """Raise UNIMPLEMENTED for parameters of a tensor that would change it."""
    for parameter in _REFUSED:
        if parameter in parameters:
            raise StatusError(StatusCode.UNIMPLEMENTED, f"{name}: no {parameter} here")


def new_input(request: Any, name: str, parameters: Any) -> Any:
    """Return the empty TensorProto of a PredictRequest's next input.

    Args:
        request: The `PredictRequest`, to which it is added.
        name: The input's name.
        parameters: Of the tensor, by name.

    Raises:
        StatusError: INVALID_ARGUMENT for a name that is there already; see `check_parameters`.
    """
    check_parameters(name, parameters)
    if name in request.inputs:
        raise invalid_argument(f"input {name} is there twice")
    return request.inputs[name]


def parse_infer(data: bytes) -> Incoming[bytes]:
    """Parse a `ModelInferRequest`, whose answer is a `ModelInferResponse`.

    Raises:
        StatusError: INVALID_ARGUMENT for a message of too many parts, and tensors whose values do
            not fit; UNIMPLEMENTED for shared memory and classification.
        DecodeError: It is not a ModelInferRequest.
    """
    try:
        check_infer_fields(data, MAX_VALUES)
    except ValueError as error:
        raise invalid_argument(str(error)) from None
    request = ModelInferRequest.FromString(data)
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid_argument(f"{len(raw)} raw_input_contents for {len(request.inputs)} inputs")
    predict = PredictRequest()
    predict.model_spec.CopyFrom(model_spec(request.model_name, request.model_version))
    if SIGNATURE in request.parameters:
        predict.model_spec.signature_name = request.parameters[SIGNATURE].string_param
    for number, tensor in enumerate(request.inputs):
        proto = new_input(predict, tensor.name, tensor.parameters)
        if not raw:
            fill_from_contents(proto, tensor)
        elif tensor.HasField("contents"):
            raise invalid_argument(f"{tensor.name}: contents beside raw_input_contents")
        else:
            fill_from_raw(proto, tensor, raw[number])
    for output in request.outputs:
        check_parameters(output.name, output.parameters)
        predict.output_filter.append(output.name)
    return Incoming(predict, lambda outputs: _write(request.id, outputs, is_raw=bool(raw)))


def _write(request_id: str, outputs: Outputs, *, is_raw: bool) -> bytes:
    """Write the answer: its values as bytes where the request's were."""
    response = ModelInferResponse(
        model_name=outputs.model_name, model_version=str(outputs.version), id=request_id
    )
    for alias, array in outputs.arrays.items():
        tensor = response.outputs.add(**describe(alias, array))
        if is_raw:
            response.raw_output_contents.append(to_raw(array))
        else:
            fill_contents(tensor, array)
    return bytes(response.SerializeToString())
