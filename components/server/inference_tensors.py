"""Tensors of the Open Inference Protocol, to and from TensorFlow Serving's and arrays.

Source: https://github.com/kserve/open-inference-protocol. Does not import TensorFlow.
"""

import math
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.server.bounded_json import MAX_VALUES
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.json_tensor import MAX_RANK
from emotion_ai.serving_api.tensors import MAX_TENSOR_BYTES, fill_tensor, format_shape, numpy_dtype
from emotion_ai.serving_api.wire import MAX_FIELDS

_LENGTH = struct.Struct("<I")
_BYTES = "BYTES"


class _DataType(NamedTuple):
    number: int
    name: str
    field: str


# Numbers of tensorflow.DataType, and fields of InferTensorContents.
_DATA_TYPES = (
    _DataType(1, "FP32", "fp32_contents"),
    _DataType(2, "FP64", "fp64_contents"),
    _DataType(3, "INT32", "int_contents"),
    _DataType(4, "UINT8", "uint_contents"),
    _DataType(7, _BYTES, "bytes_contents"),
    _DataType(9, "INT64", "int64_contents"),
    _DataType(10, "BOOL", "bool_contents"),
)
_BY_NAME = {data_type.name: data_type for data_type in _DATA_TYPES}
_BY_NUMBER = {data_type.number: data_type for data_type in _DATA_TYPES}
_BY_DTYPE = {numpy_dtype(data_type.number): data_type for data_type in _DATA_TYPES}


def datatype_name(number: int) -> str:
    """Return the protocol's name of a `tensorflow.DataType`."""
    data_type = _BY_NUMBER.get(number)
    return f"DataType {number}" if data_type is None else data_type.name


def datatype_number(alias: str, datatype: str) -> int:
    """Return the `tensorflow.DataType` of the protocol's name.

    Raises:
        StatusError: INVALID_ARGUMENT for others than this server has.
    """
    return _data_type(alias, datatype).number


def fill_from_raw(proto: Any, tensor: Any, raw: bytes) -> None:
    """Fill a TensorProto with the bytes of raw_input_contents, or of the binary extension.

    Args:
        proto: An empty `TensorProto`.
        tensor: Has name, datatype and shape.
        raw: Elements in row-major order, little-endian; each of BYTES has its length before it.

    Raises:
        StatusError: INVALID_ARGUMENT for a datatype, a shape or bytes that do not fit.
    """
    count = _start(proto, tensor)
    dtype = numpy_dtype(proto.dtype)
    if dtype is None or dtype.hasobject:
        if count > MAX_FIELDS:
            raise invalid_argument(f"{tensor.name}: at most {MAX_FIELDS} BYTES elements are read")
        proto.string_val.extend(_split(tensor.name, raw, count))
        return
    if len(raw) != count * dtype.itemsize:
        raise _misfit(tensor, f"{len(raw)} bytes")
    proto.tensor_content = raw


def fill_from_contents(proto: Any, tensor: Any) -> None:
    """Fill a TensorProto with the `contents` of an `InferInputTensor`.

    Args:
        proto: An empty `TensorProto`.
        tensor: The `InferInputTensor`.

    Raises:
        StatusError: INVALID_ARGUMENT for a datatype, a shape or values that do not fit.
    """
    count = _start(proto, tensor)
    data_type = _data_type(tensor.name, tensor.datatype)
    values = getattr(tensor.contents, data_type.field)
    if len(values) != count:
        raise _misfit(tensor, f"{len(values)} values in {data_type.field}")
    if count > MAX_VALUES:
        raise invalid_argument(
            f"{tensor.name}: {count} values; at most {MAX_VALUES} are read: send them as "
            "raw_input_contents"
        )
    if data_type.name == _BYTES:
        proto.string_val.extend(values)
        return
    dtype = np.dtype(np.uint32) if data_type.name == "UINT8" else numpy_dtype(data_type.number)
    array = np.fromiter(values, dtype, count)
    if data_type.name == "UINT8" and array.max(initial=0) > np.iinfo(np.uint8).max:
        raise invalid_argument(f"{tensor.name}: {array.max()} is no UINT8")
    proto.tensor_content = array.astype(numpy_dtype(data_type.number)).tobytes()


def fill_from_array(proto: Any, tensor: Any, array: NDArray) -> None:
    """Fill a TensorProto with an array of the tensor's datatype, whatever that array's shape is.

    Args:
        proto: An empty `TensorProto`.
        tensor: Has name, datatype and shape.
        array: The elements, in row-major order.

    Raises:
        StatusError: INVALID_ARGUMENT for a shape with another number of elements.
    """
    if _count(tensor) != array.size:
        raise _misfit(tensor, f"{array.size} values")
    fill_tensor(proto, array.reshape(tensor.shape))


def describe(alias: str, array: NDArray) -> dict[str, Any]:
    """Return name, datatype and shape of an output."""
    return {"name": alias, "datatype": _BY_DTYPE[array.dtype].name, "shape": list(array.shape)}


def fill_contents(tensor: Any, array: NDArray) -> None:
    """Write the values of an array into an output's `contents`."""
    field = _BY_DTYPE[array.dtype].field
    getattr(tensor.contents, field).extend(array.ravel().tolist())


def to_raw(array: NDArray) -> bytes:
    """Return an array as the protocol's bytes."""
    if not array.dtype.hasobject:
        return array.tobytes()
    elements = array.ravel().tolist()
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))


def _data_type(alias: str, datatype: str) -> _DataType:
    data_type = _BY_NAME.get(datatype)
    if data_type is None:
        raise invalid_argument(
            f"{alias}: datatype {datatype[:20]!r}; expected one of {', '.join(sorted(_BY_NAME))}"
        )
    return data_type


def _start(proto: Any, tensor: Any) -> int:
    """Write datatype and shape, and return the number of elements."""
    count = _count(tensor)
    proto.dtype = datatype_number(tensor.name, tensor.datatype)
    proto.tensor_shape.SetInParent()
    for size in tensor.shape:
        proto.tensor_shape.dim.add(size=size)
    return count


def _count(tensor: Any) -> int:
    shape: Sequence[int] = tensor.shape
    # An array without elements has its limits too.
    if (
        len(shape) > MAX_RANK
        or any(size < 0 for size in shape)
        or math.prod(size or 1 for size in shape) > MAX_TENSOR_BYTES
    ):
        raise invalid_argument(
            f"{tensor.name}: shape {format_shape(tuple(shape))}; expected at most {MAX_RANK} "
            f"sizes, none below zero, and {MAX_TENSOR_BYTES} elements"
        )
    return math.prod(shape)


def _misfit(tensor: Any, what: str) -> StatusError:
    shape = format_shape(tuple(tensor.shape))
    return invalid_argument(f"{tensor.name}: {what} do not fit shape {shape} of {tensor.datatype}")


def _split(alias: str, raw: bytes, count: int) -> list[bytes]:
    """Return the elements of a BYTES tensor, of which each has its length before it."""
    elements, position = [], 0
    for _ in range(count):
        start = position + _LENGTH.size
        if start > len(raw):
            break
        (length,) = _LENGTH.unpack_from(raw, position)
        position = start + length
        elements.append(raw[start:position])
    if position != len(raw) or len(elements) != count:
        raise invalid_argument(
            f"{alias}: {len(raw)} bytes are not {count} BYTES elements, each with its length"
        )
    return elements
