"""Inference requests and answers of the Open Inference Protocol as JSON, and bytes after it."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, ValidationError

from emotion_ai.server.bounded_json import parse_object
from emotion_ai.server.errors import invalid_argument
from emotion_ai.server.http_server import Answer
from emotion_ai.server.inference_request import SIGNATURE, check_parameters, new_input
from emotion_ai.server.inference_tensors import (
    datatype_number,
    describe,
    fill_from_array,
    fill_from_raw,
    to_raw,
)
from emotion_ai.server.json_tensor import to_array, to_json
from emotion_ai.server.predict_request import Incoming, Outputs
from emotion_ai.serving_api.messages import PredictRequest

JSON_LENGTH = "Inference-Header-Content-Length"
_SIZE = "binary_data_size"
_Element = TypeVar("_Element")
# Its first mistake is enough.
_List = Annotated[list[_Element], FailFast()]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Input(_Part):
    name: str
    datatype: str
    shape: _List[int]
    parameters: dict[str, Any] = {}
    data: Any = None


class _Output(_Part):
    name: str
    parameters: dict[str, Any] = {}


class _Infer(_Part):
    id: str = ""
    parameters: dict[str, Any] = {}
    inputs: _List[_Input]
    outputs: _List[_Output] = []


def read_infer(spec: Any, json_length: int | None, body: bytes) -> Incoming[Answer]:
    """Read an inference request.

    Args:
        spec: The `ModelSpec` that the path names.
        json_length: The bytes of the JSON; those after it are of tensors. None is all.
        body: The body, unpacked.

    Raises:
        StatusError: INVALID_ARGUMENT for JSON of another form, and tensors whose values do not fit;
            UNIMPLEMENTED for shared memory and classification.
    """
    if json_length is not None and json_length > len(body):
        raise invalid_argument(f"{JSON_LENGTH}: {json_length}, of a body of {len(body)} bytes")
    end = len(body) if json_length is None else json_length
    try:
        infer = _Infer.model_validate(parse_object(body[:end]))
        return _read_tensors(spec, infer, body, end)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise invalid_argument(f"JSON: {place}: {first['msg']}") from None
    except UnicodeEncodeError:
        # JSON can escape a half of a pair of surrogates.
        raise invalid_argument("JSON: a name that is no text") from None


def _read_tensors(spec: Any, infer: _Infer, body: bytes, end: int) -> Incoming[Answer]:
    """Read the tensors of a request, whose JSON ends at a position of the body."""
    request = PredictRequest(model_spec=spec)
    request.model_spec.signature_name = _parameter(infer.parameters, SIGNATURE, "")
    for tensor in infer.inputs:
        proto = new_input(request, tensor.name, tensor.parameters)
        end += _read_input(proto, tensor, body, end)
    if end != len(body):
        raise invalid_argument(f"{len(body) - end} bytes after the last tensor")
    is_binary = _parameter(infer.parameters, "binary_data_output", default=False)
    binary = {}
    for output in infer.outputs:
        check_parameters(output.name, output.parameters)
        request.output_filter.append(output.name)
        binary[output.name] = _parameter(output.parameters, "binary_data", default=is_binary)
    return Incoming(request, lambda outputs: _write(infer.id, outputs, binary, is_binary))


def _parameter(parameters: dict[str, Any], name: str, default: Any) -> Any:
    value = parameters.get(name, default)
    if type(value) is not type(default):
        raise invalid_argument(f"parameter {name}: expected a {type(default).__name__}")
    return value


def _read_input(proto: Any, tensor: _Input, body: bytes, start: int) -> int:
    """Fill a TensorProto; returns how many bytes of the body it took."""
    if _SIZE not in tensor.parameters:
        number = datatype_number(tensor.name, tensor.datatype)
        fill_from_array(proto, tensor, to_array(tensor.name, tensor.data, number))
        return 0
    size = _parameter(tensor.parameters, _SIZE, 0)
    if tensor.data is not None:
        raise invalid_argument(f"{tensor.name}: data beside {_SIZE}")
    if not 0 <= size <= len(body) - start:
        raise invalid_argument(f"{tensor.name}: {_SIZE} {size}; {len(body) - start} bytes follow")
    fill_from_raw(proto, tensor, body[start : start + size])
    return size


def _write(request_id: str, outputs: Outputs, binary: dict[str, bool], is_binary: bool) -> Answer:
    """Write the answer.

    Args:
        request_id: The request's id.
        outputs: What the model answered.
        binary: By output, whether its values are bytes after the JSON.
        is_binary: Whether those of others are.
    """
    tensors, contents = [], []
    for alias, array in outputs.arrays.items():
        tensor = describe(alias, array)
        if binary.get(alias, is_binary):
            contents.append(to_raw(array))
            tensor["parameters"] = {_SIZE: len(contents[-1])}
        else:
            tensor["data"] = to_json(alias, array.ravel())
        tensors.append(tensor)
    document = {
        "model_name": outputs.model_name,
        "model_version": str(outputs.version),
        "id": request_id,
        "outputs": tensors,
    }
    text = json.dumps(document).encode()
    if not contents:
        return Answer(200, "application/json", text)
    headers = {JSON_LENGTH: str(len(text))}
    return Answer(200, "application/octet-stream", b"".join([text, *contents]), headers)
