"""Counts the fields of a Predict message in its bytes, before protobuf makes objects of them.

Parsing holds the interpreter lock, so everybody waits for it. A message of 14 MB with a million
inputs takes a second; one with as many pixels takes milliseconds.

Wire format: https://protobuf.dev/programming-guides/encoding. PredictRequest and PredictResponse
both have a map of TensorProto.
"""

from collections.abc import Iterator
from typing import NamedTuple

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
            that are not the values of tensors.
    """
    if len(data) <= _SMALL_BYTES:
        return
    counted = described = 0
    # Depth 0 is the message, 1 the entry of a map, 2 its tensor.
    pending = [(0, 0, len(data))]
    while pending:
        depth, start, stop = pending.pop()
        for field in _iterate_fields(data, start, stop):
            counted += 1
            if depth == 0 and field.number in _TENSOR_MAPS:
                pending.append((1, field.start, field.stop))
            elif depth == 1 and field.number == _VALUE:
                pending.append((2, field.start, field.stop))
            elif depth < 2 or field.number not in _FLAT_FIELDS:
                described += field.stop - field.start
            if counted > MAX_FIELDS or described > _SMALL_BYTES:
                raise ValueError(
                    f"the message has more than {MAX_FIELDS} fields, or more than 64 KiB beside "
                    "the values of tensors"
                )


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
