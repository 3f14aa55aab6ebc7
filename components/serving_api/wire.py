"""Counts the fields of a Predict message in its bytes, before protobuf makes objects of them.

Parsing holds the interpreter lock, so everybody waits for it. A message of 14 MB with a million
inputs takes a second; one with as many pixels takes milliseconds.

Wire format: https://protobuf.dev/programming-guides/encoding. PredictRequest and PredictResponse
both have a map of TensorProto.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf.message import DecodeError

from emotion_ai.serving_api.messages import TensorShapeProto
from emotion_ai.serving_api.tensors import MAX_DIMENSIONS

# Messages up to this size are parsed within milliseconds, whatever is in them.
_SMALL_BYTES = 64 * 1024
MAX_FIELDS = 16_384
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
# PredictResponse.outputs and PredictRequest.inputs, and the value of their entries. The other
# message has its ModelSpec there, which may be counted in the same way.
_TENSOR_MAPS = (1, 2)
_VALUE = 2
# TensorProto's fields that are bytes or packed numbers: one object each, however long they are.
_FLAT_FIELDS = frozenset({4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17})
# Of these, the one whose length says nothing about how many values there are: strings.
_STRINGS = 8
_SHAPE = 2
# Of a value: tensor_content has at most 16, a varint ten.
_MAX_NUMBER_BYTES = 16


class _Field(NamedTuple):
    number: int
    start: int
    stop: int


def check_fields(data: bytes) -> None:
    """Check that a PredictRequest or PredictResponse has few enough fields to be parsed at once.

    Args:
        data: The serialized message. Whether it is a valid one is for the parser to say.

    Raises:
        ValueError: It has more than 16,384 fields, or more than 64 KiB of shapes, names and others
            that are not the values of tensors; or a tensor has far more values than its shape.
    """
    if len(data) <= _SMALL_BYTES:
        return
    described = 0
    # Of each tensor, by its position: the bytes of its shape, and of its numbers.
    shapes: dict[int, bytes] = defaultdict(bytes)
    numbers: dict[int, int] = defaultdict(int)
    for counted, (tensor, field) in enumerate(_iterate_parts(data), 1):
        length = field.stop - field.start
        if tensor is None or field.number not in _FLAT_FIELDS:
            described += length
        elif field.number != _STRINGS:
            numbers[tensor] += length
        if counted > MAX_FIELDS or described > _SMALL_BYTES:
            raise ValueError(
                f"the message has more than {MAX_FIELDS} fields, or more than 64 KiB beside the "
                "values of tensors"
            )
        if tensor is not None and field.number == _SHAPE:
            shapes[tensor] += data[field.start : field.stop]
    if any(
        length > _MAX_NUMBER_BYTES * _count_elements(shapes[t]) for t, length in numbers.items()
    ):
        raise ValueError("tensor parsing error: more values than the shape holds")


def _iterate_parts(data: bytes) -> Iterator[tuple[int | None, _Field]]:
    """Yield the fields, each with the position of its tensor if it is in one.

    A field that holds others counts as one without a length.
    """
    # Depth 0 is the message, 1 the entry of a map, 2 its tensor.
    pending = [(0, 0, len(data))]
    while pending:
        depth, start, stop = pending.pop()
        for field in _iterate_fields(data, start, stop):
            holds_others = (depth == 0 and field.number in _TENSOR_MAPS) or (
                depth == 1 and field.number == _VALUE
            )
            if holds_others:
                pending.append((depth + 1, field.start, field.stop))
                yield None, field._replace(stop=field.start)
            else:
                yield (start if depth == 2 else None), field


def _count_elements(shape: bytes) -> int:
    """Return the elements of a serialized TensorShapeProto; 0 where it cannot be a tensor's."""
    try:
        dimensions = TensorShapeProto.FromString(shape).dim
    except DecodeError:
        return 0
    # Multiplying many large numbers takes long.
    return math.prod(d.size for d in dimensions) if len(dimensions) <= MAX_DIMENSIONS else 0


def _iterate_fields(data: bytes, start: int, stop: int) -> Iterator[_Field]:
    """Yield the fields between two positions; stops where they are no valid ones."""
    position = start
    while position < stop:
        tag, position = _read_varint(data, position)
        kind, length = tag & 7, 0
        if kind == _VARINT:
            _, position = _read_varint(data, position)
        elif kind == _LENGTH:
            length, position = _read_varint(data, position)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        end = min(position + length, stop)
        yield _Field(tag >> 3, position, end)
        position = end


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    # Ten bytes hold 64 bits.
    for byte in data[position : position + 10]:
        value |= (byte & 127) << shift
        position += 1
        if byte < 128:
            break
        shift += 7
    return value, position
