"""What Predict means: the checks, their order and their words are those of TensorFlow Serving.

Sources: tensorflow_serving/servables/tensorflow/predict_util.cc (PreProcessPrediction) and
tensorflow/cc/saved_model/util.cc (GetInputValues). Knows no TensorFlow.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.errors import StatusError, invalid
from emotion_ai.serving_api.messages import PredictResponse
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

DEFAULT_SIGNATURE = "serving_default"


class Input(NamedTuple):
    """An input of a signature: the tensor it feeds, its DataType, and its shape.

    The shape is None where its rank is not known; a dimension of -1 takes any size.
    """

    tensor: str
    dtype: int
    shape: tuple[int, ...] | None


class Signature(NamedTuple):
    """Inputs, and the names of the output tensors, by their aliases in the order of the alphabet.

    `is_batched` tells whether every input and output has a first dimension of any size.
    """

    inputs: dict[str, Input]
    outputs: dict[str, str]
    is_batched: bool


class Prepared(NamedTuple):
    """A request that may be run: of what, with what, and the outputs that it wants."""

    name: str
    signature: Signature
    inputs: dict[str, NDArray]
    wanted: list[str]


def signature_of(definition: Any) -> Signature:
    """What the server needs of a `SignatureDef` message."""
    inputs = {
        alias: Input(info.name, info.dtype, _shape(info))
        for alias, info in sorted(definition.inputs.items())
    }
    outputs = {alias: info.name for alias, info in sorted(definition.outputs.items())}
    shapes = [_shape(info) for info in (*definition.inputs.values(), *definition.outputs.values())]
    is_batched = bool(inputs) and all(shape and shape[0] == -1 for shape in shapes)
    return Signature(inputs, outputs, is_batched)


def _shape(info: Any) -> tuple[int, ...] | None:
    shape = info.tensor_shape
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)


def prepare(signatures: Mapping[str, Signature], request: Any) -> Prepared:
    """Check a PredictRequest and read its tensors.

    Raises `StatusError`: FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for inputs
    that are missing, unknown, of another type or shape, and for unknown or repeated outputs.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = signatures.get(name)
    if signature is None:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    _check_names(request.inputs, signature.inputs)
    arrays = {alias: _parsed(alias, request.inputs[alias]) for alias in signature.inputs}
    wanted = _wanted_outputs(request.output_filter, signature.outputs)
    for position, (alias, expected) in enumerate(signature.inputs.items()):
        _check_type(position, request.inputs[alias].dtype, expected)
        _check_shape(alias, arrays[alias].shape, expected)
    return Prepared(name, signature, arrays, wanted)


def _check_names(sent: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if len(sent) != len(expected):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({_names(sent)}) != len({_names(expected)}). "
            f"Sent extra: {_names(set(sent) - set(expected))}. "
            f"Missing but required: {_names(set(expected) - set(sent))}."
        )
    for alias in expected:
        if alias not in sent:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {expected[alias].tensor}) not found in "
                "request and no default value provided. Inputs expected to be in the request "
                f"{_names(sent)}, or default input alias set: "
            )


def _parsed(alias: str, proto: Any) -> NDArray:
    try:
        return read_tensor(proto)
    except ValueError as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from None


def _wanted_outputs(asked: Any, there: Mapping[str, str]) -> list[str]:
    seen: set[str] = set()
    for alias in asked:
        if alias not in there:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in "
                f"the set {_names(there)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(asked) or list(there)


def _check_type(position: int, sent: int, expected: Input) -> None:
    if sent != expected.dtype:
        raise invalid(
            f"Expects arg[{position}] to be {_type_name(expected.dtype)} but {_type_name(sent)} "
            "is provided"
        )


def _check_shape(alias: str, sent: tuple[int, ...], expected: Input) -> None:
    # TensorFlow Serving leaves it to the first operation that the shape does not suit.
    shape = expected.shape
    if shape is None:
        return
    fits = len(sent) == len(shape) and all(
        size in (-1, given) for size, given in zip(shape, sent, strict=True)
    )
    if not fits:
        wanted = ",".join("?" if size == -1 else str(size) for size in shape)
        got = ",".join(map(str, sent))
        raise invalid(f"input {alias} must have shape [{wanted}], but has shape [{got}]")


def _type_name(number: int) -> str:
    return _TYPES.get(number, f"DataType {number}")


# As tensorflow::DataTypeString writes them.
_TYPES = {
    value.number: value.name.removeprefix("DT_").lower()
    for value in PredictResponse.OutputsEntry.DESCRIPTOR.fields_by_name["value"]
    .message_type.fields_by_name["dtype"]
    .enum_type.values
}


def _names(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def response_to(request: Any, version: int, prepared: Prepared, outputs: Any) -> Any:
    """The PredictResponse: the outputs that the request wants, and who answered."""
    response = PredictResponse()
    spec = response.model_spec
    spec.name = request.model_spec.name
    spec.version.value = version
    spec.signature_name = prepared.name
    for alias in prepared.wanted:
        fill_tensor(response.outputs[alias], outputs[alias])
    return response
