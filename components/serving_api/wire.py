"""Counts the fields of a Predict message in its bytes, before protobuf makes objects of them.

Parsing holds the interpreter lock, so everybody waits for it. A message of 14 MB with a million
inputs takes a second; one with as many pixels takes milliseconds.

Wire format: https://protobuf.dev/programming-guides/encoding. PredictRequest and PredictResponse
both have a map of TensorProto; ModelInferRequest has a list of tensors with their contents.
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
_PREDICT_HOLDERS = (frozenset({1, 2}), frozenset({2}))
# TensorProto's fields that are bytes or packed numbers: one object each, however long they are.
_FLAT_FIELDS = frozenset({4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17})
# Of these, the one whose length says nothing about how many values there are: strings.
_STRINGS = 8
_SHAPE = 2
# ModelInferRequest.inputs, and their contents; raw_input_contents; and those of the contents.
_INFER_HOLDERS = (frozenset({5}), frozenset({5}))
_RAW_CONTENTS = 7
_CONTENTS = frozenset({1, 2, 3, 4, 5, 6, 7, 8})
# Of a value: tensor_content has at most 16, a varint ten.
_MAX_NUMBER_BYTES = 16
_MAX_INTEGER_BYTES = 10


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
    for counted, (depth, start, field) in enumerate(_iterate_parts(data, _PREDICT_HOLDERS), 1):
        is_tensor = depth == len(_PREDICT_HOLDERS)
        length = field.stop - field.start
        if not is_tensor or field.number not in _FLAT_FIELDS:
            described += length
        elif field.number != _STRINGS:
            numbers[start] += length
        _check_parts(counted, described)
        if is_tensor and field.number == _SHAPE:
            shapes[start] += data[field.start : field.stop]
    if any(
        length > _MAX_NUMBER_BYTES * _count_elements(shapes[t]) for t, length in numbers.items()
    ):
        raise ValueError("tensor parsing error: more values than the shape holds")


def check_infer_fields(data: bytes, max_values: int) -> None:
    """Check that a ModelInferRequest has few enough fields to be parsed at once.

    Args:
        data: The serialized message.
        max_values: How many values its contents may have, those of raw_input_contents aside.

    Raises:
        ValueError: It has more than 16,384 fields, more values, or more than 64 KiB of others that
            are not the values of tensors.
    """
    if len(data) <= _SMALL_BYTES:
        return
    described = numbers = 0
    for counted, (depth, _, field) in enumerate(_iterate_parts(data, _INFER_HOLDERS), 1):
        length = field.stop - field.start
        if depth == len(_INFER_HOLDERS) and field.number in _CONTENTS:
            numbers += 0 if field.number == _STRINGS else length
        elif depth or field.number != _RAW_CONTENTS:
            described += length
        _check_parts(counted, described)
    if numbers > max_values * _MAX_INTEGER_BYTES:
        raise ValueError(f"more than {max_values} values: send them as raw_input_contents")


def _check_parts(fields: int, described: int) -> None:
    if fields > MAX_FIELDS or described > _SMALL_BYTES:
        raise ValueError(
            f"the message has more than {MAX_FIELDS} fields, or more than 64 KiB beside the values "
            "of tensors"
        )


def _iterate_parts(
    data: bytes, holders: tuple[frozenset[int], ...]
) -> Iterator[tuple[int, int, _Field]]:
    """Yield the fields, each with its depth and the position of the message that it is in.

    A field that holds others, by the numbers that do at each depth, counts as one without a length.
    """
    pending = [(0, 0, len(data))]
    while pending:
        depth, start, stop = pending.pop()
        for field in _iterate_fields(data, start, stop):
            if depth < len(holders) and field.number in holders[depth]:
                pending.append((depth + 1, field.start, field.stop))
                yield depth, start, field._replace(stop=field.start)
            else:
                yield depth, start, field


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
