"""Reads Predict requests and builds responses; checks and messages are TensorFlow Serving's.

Sources: tensorflow_serving/servables/tensorflow/predict_util.cc (PreProcessPrediction) and
tensorflow/cc/saved_model/util.cc (GetInputValues). Does not import TensorFlow.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.serving_api.messages import PredictResponse
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

DEFAULT_SIGNATURE = "serving_default"


class InputSpec(NamedTuple):
    """An input of a signature.

    Attributes:
        tensor: The name of the graph's tensor that it feeds.
        dtype: The number of its `tensorflow.DataType`.
        shape: -1 is a dimension of any size; None is an unknown rank.
    """

    tensor: str
    dtype: int
    shape: tuple[int, ...] | None


class Signature(NamedTuple):
    """The inputs and outputs of a SavedModel's signature, in alphabetical order.

    Attributes:
        inputs: Specs by alias.
        outputs: Names of the graph's tensors by alias.
        is_batched: Whether every input and output has a first dimension of any size.
    """

    inputs: dict[str, InputSpec]
    outputs: dict[str, str]
    is_batched: bool


class ParsedRequest(NamedTuple):
    """A valid Predict request.

    Attributes:
        signature_name: The signature's name, never "".
        signature: The signature to run.
        inputs: Arrays by alias.
        outputs: Aliases of the requested outputs.
    """

    signature_name: str
    signature: Signature
    inputs: dict[str, NDArray]
    outputs: list[str]


def parse_signature(definition: Any) -> Signature:
    """Convert a `SignatureDef` message."""
    inputs = {
        alias: InputSpec(info.name, info.dtype, _shape(info))
        for alias, info in sorted(definition.inputs.items())
    }
    outputs = {alias: info.name for alias, info in sorted(definition.outputs.items())}
    shapes = [_shape(info) for info in (*definition.inputs.values(), *definition.outputs.values())]
    is_batched = bool(inputs) and all(shape and shape[0] == -1 for shape in shapes)
    return Signature(inputs, outputs, is_batched)


def _shape(info: Any) -> tuple[int, ...] | None:
    shape = info.tensor_shape
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def parse_request(signatures: Mapping[str, Signature], request: Any) -> ParsedRequest:
    """Check a request against its signature and read its tensors.

    Args:
        signatures: The model's signatures by name.
        request: A `PredictRequest`.

    Raises:
        StatusError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for inputs that
            are missing, unknown or of another type or shape, and for unknown or repeated outputs.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = signatures.get(name)
    if signature is None:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    _check_format_names(request.inputs, signature.inputs)
    arrays = {alias: _read_input(alias, request.inputs[alias]) for alias in signature.inputs}
    outputs = _select_outputs(request.output_filter, signature.outputs)
    for position, (alias, expected) in enumerate(signature.inputs.items()):
        _check_type(position, request.inputs[alias].dtype, expected)
        _check_shape(alias, arrays[alias].shape, expected)
    return ParsedRequest(name, signature, arrays, outputs)


def _check_format_names(sent: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if len(sent) != len(expected):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_format_names(sent)}) != len({_format_names(expected)}). "
            f"Sent extra: {_format_names(set(sent) - set(expected))}. "
            f"Missing but required: {_format_names(set(expected) - set(sent))}."
        )
    for alias in expected:
        if alias not in sent:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {expected[alias].tensor}) not found in "
                "request and no default value provided. Inputs expected to be in the request "
                f"{_format_names(sent)}, or default input alias set: "
            )


def _read_input(alias: str, proto: Any) -> NDArray:
    try:
        return read_tensor(proto)
    except ValueError as error:
        raise invalid_argument(f"tensor parsing error: {alias}: {error}") from None


def _select_outputs(output_filter: Any, available: Mapping[str, str]) -> list[str]:
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in available:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {_format_names(available)}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(output_filter) or list(available)


def _check_type(position: int, sent: int, expected: InputSpec) -> None:
    if sent != expected.dtype:
        raise invalid_argument(
            f"Expects arg[{position}] to be {_type_name(expected.dtype)} but {_type_name(sent)} "
            "is provided"
        )


def _check_shape(alias: str, sent: tuple[int, ...], expected: InputSpec) -> None:
    # TensorFlow Serving has no such check: the first operation with another shape fails there.
    shape = expected.shape
    if shape is None:
        return
    fits = len(sent) == len(shape) and all(
        size in (-1, sent_size) for size, sent_size in zip(shape, sent, strict=True)
    )
    if not fits:
        expected_text = ",".join("?" if size == -1 else str(size) for size in shape)
        sent_text = ",".join(map(str, sent))
        raise invalid_argument(
            f"input {alias} must have shape [{expected_text}], but has shape [{sent_text}]"
        )


def _type_name(number: int) -> str:
    return _TYPE_NAMES.get(number, f"DataType {number}")


# As tensorflow::DataTypeString spells them.
_TYPE_NAMES = {
    value.number: value.name.removeprefix("DT_").lower()
    for value in PredictResponse.OutputsEntry.DESCRIPTOR.fields_by_name["value"]
    .message_type.fields_by_name["dtype"]
    .enum_type.values
}


def _format_names(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def build_response(
    model_name: str, version: int, parsed: ParsedRequest, outputs: Mapping[str, NDArray]
) -> Any:
    """Return a `PredictResponse` with the requested outputs.

    Args:
        model_name: The model's name in the request.
        version: The version that ran.
        parsed: The request.
        outputs: Every output of the signature by alias.
    """
    response = PredictResponse()
    spec = response.model_spec
    spec.name = model_name
    spec.version.value = version
    spec.signature_name = parsed.signature_name
    for alias in parsed.outputs:
        fill_tensor(response.outputs[alias], outputs[alias])
    return response
