"""Reads Predict requests and builds responses; checks and messages are TensorFlow Serving's.

Sources: tensorflow_serving/servables/tensorflow/predict_util.cc (PreProcessPrediction) and
tensorflow/cc/saved_model/util.cc (GetInputValues). Does not import TensorFlow.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from grpc import StatusCode
from numpy.typing import NDArray

from emotion_ai.server.batch_policy import MAX_ROWS
from emotion_ai.server.batching import check_rows
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.picture_cost import MAX_PIXELS, count_pixels
from emotion_ai.server.signature import DEFAULT_SIGNATURE, InputSpec, Signature
from emotion_ai.serving_api.messages import PredictRequest, PredictResponse
from emotion_ai.serving_api.tensors import (
    TensorHeader,
    fill_tensor,
    format_shape,
    read_elements,
    read_header,
)
from emotion_ai.serving_api.wire import check_fields

# A piece of a request has no more pixels than one picture may have.
_PIXELS_PER_PIECE = 1 << 24
_DT_STRING = 7
Answer = TypeVar("Answer")


class _Input(NamedTuple):
    proto: Any
    header: TensorHeader


class Outputs(NamedTuple):
    """What a model answered.

    Attributes:
        model_name: The model's name in the request.
        version: The version that ran.
        signature_name: The signature that ran, never "".
        arrays: The requested outputs by alias.
    """

    model_name: str
    version: int
    signature_name: str
    arrays: dict[str, NDArray]


class Incoming(NamedTuple, Generic[Answer]):
    """A request, in whatever form it came.

    Attributes:
        message: It as a `PredictRequest`.
        write: Writes the answer in the form that belongs to it.
    """

    message: Any
    write: Callable[[Outputs], Answer]


class ParsedRequest(NamedTuple):
    """A valid Predict request; its values are read piece by piece.

    Attributes:
        signature_name: The signature's name, never "".
        signature: The signature to run.
        tensors: The inputs by alias.
        outputs: Aliases of the requested outputs.
        rows: The size of the first dimension; 1 where the signature is not batched.
        pixels: The pixels that each row stands for; () where there are no encoded pictures.
    """

    signature_name: str
    signature: Signature
    tensors: dict[str, _Input]
    outputs: list[str]
    rows: int
    pixels: Sequence[int]

    def read(self, start: int = 0, stop: int | None = None) -> dict[str, NDArray]:
        """Return the arrays by alias, or some of their rows."""
        if stop is None or not self.signature.is_batched:
            return {
                alias: read_elements(proto, header, 0, header.size).reshape(header.shape)
                for alias, (proto, header) in self.tensors.items()
            }
        arrays = {}
        for alias, (proto, header) in self.tensors.items():
            inner = math.prod(header.shape[1:])
            elements = read_elements(proto, header, start * inner, stop * inner)
            arrays[alias] = elements.reshape(stop - start, *header.shape[1:])
        return arrays

    def pieces(self, max_rows: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last row of each piece to run, one after the other."""
        start = 0
        while True:
            stop, pixels = start, 0
            while stop < min(start + max_rows, self.rows):
                pixels += self.pixels[stop] if self.pixels else 0
                if pixels > _PIXELS_PER_PIECE and stop > start:
                    break
                stop += 1
            yield start, stop
            if stop == self.rows:
                return
            start = stop


def parse_message(data: bytes) -> Incoming[bytes]:
    """Parse a `PredictRequest`, whose answer is a `PredictResponse`.

    Raises:
        StatusError: INVALID_ARGUMENT for a message of too many parts.
        DecodeError: It is not a PredictRequest.
    """
    try:
        check_fields(data)
    except ValueError as error:
        raise invalid_argument(str(error)) from None
    return Incoming(
        PredictRequest.FromString(data),
        lambda outputs: bytes(build_response(outputs).SerializeToString()),
    )


def parse_request(
    signatures: Mapping[str, Signature], request: Any, max_rows: int = MAX_ROWS
) -> ParsedRequest:
    """Check a request against its signature; reads no values.

    Args:
        signatures: The model's signatures by name.
        request: A `PredictRequest`.
        max_rows: The limit of its rows.

    Raises:
        StatusError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for inputs that
            are missing, unknown or of another type or shape, or too large, and for unknown or
            repeated outputs.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = signatures.get(name)
    if signature is None:
        raise StatusError(
            StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.'
        )
    _check_format_names(request.inputs, signature.inputs)
    tensors = {alias: _read_input(alias, request.inputs[alias]) for alias in signature.inputs}
    outputs = _select_outputs(request.output_filter, signature.outputs)
    for position, (alias, expected) in enumerate(signature.inputs.items()):
        _check_type(position, request.inputs[alias].dtype, expected)
        _check_shape(alias, tensors[alias].header.shape, expected)
    rows, pixels = _check_rows(tensors, max_rows) if signature.is_batched else (1, ())
    return ParsedRequest(name, signature, tensors, outputs, rows, pixels)


def _check_rows(tensors: Mapping[str, _Input], max_rows: int) -> tuple[int, Sequence[int]]:
    """Check what a request costs; returns its rows, and the pixels that each stands for."""
    counts = {header.shape[0] for _, header in tensors.values()}
    if len(counts) > 1:
        raise invalid_argument(
            "Batching session Run() input tensors must have equal 0th-dimension size"
        )
    rows = counts.pop()
    check_rows(rows, max_rows)
    pixels: list[int] = []
    for proto, header in tensors.values():
        if proto.dtype == _DT_STRING and len(header.shape) == 1:
            counted = count_pixels(read_elements(proto, header, 0, rows).tolist())
            pixels = (
                [sum(pair) for pair in zip(pixels, counted, strict=True)] if pixels else counted
            )
    if sum(pixels) > MAX_PIXELS:
        raise invalid_argument(
            f"pictures of {sum(pixels)} pixels in one request; at most {MAX_PIXELS} are decoded"
        )
    return rows, pixels


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


def _read_input(alias: str, proto: Any) -> _Input:
    try:
        return _Input(proto, read_header(proto))
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
        raise invalid_argument(
            f"input {alias} must have shape [{expected_text}], but has shape {format_shape(sent)}"
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


def build_response(outputs: Outputs) -> Any:
    """Return a `PredictResponse`."""
    response = PredictResponse()
    spec = response.model_spec
    spec.name = outputs.model_name
    spec.version.value = outputs.version
    spec.signature_name = outputs.signature_name
    for alias, array in outputs.arrays.items():
        fill_tensor(response.outputs[alias], array)
    return response
