"""Converts NumPy arrays to and from TensorProto messages of any descriptor pool.

Values are written as TensorFlow Serving does by default: in the field of their type (`float_val`
and so on), for clients that read only that field. uint8 is written as `tensor_content`, which takes
a fifth of the size. Both are read.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The limit of an unpacked tensor: its shape can be far larger than the message, because the last
# value is repeated.
MAX_TENSOR_BYTES = 64 * 1024 * 1024
# TensorShape::MaxDimensions in tensorflow/core/framework/tensor_shape.h.
MAX_DIMENSIONS = 254
# Dimensions that a message names.
_SHOWN_DIMENSIONS = 8


class _DataType(NamedTuple):
    number: int
    dtype: np.dtype
    field: str


# Numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
_DATA_TYPES = (
    _DataType(1, np.dtype("<f4"), "float_val"),
    _DataType(2, np.dtype("<f8"), "double_val"),
    _DataType(3, np.dtype("<i4"), "int_val"),
    _DataType(4, np.dtype("u1"), "int_val"),
    _DataType(7, np.dtype(object), "string_val"),
    _DataType(9, np.dtype("<i8"), "int64_val"),
    _DataType(10, np.dtype(bool), "bool_val"),
)
_BY_NUMBER = {data_type.number: data_type for data_type in _DATA_TYPES}
_BY_DTYPE = {data_type.dtype: data_type for data_type in _DATA_TYPES}
_UINT8 = np.dtype("u1")
_WIRE_DTYPES = {"int_val": np.dtype("<i4")}
_BYTES = np.dtype(object)


def fill_tensor(proto: Any, array: NDArray) -> None:
    """Write an array into an empty TensorProto.

    Args:
        proto: An empty `TensorProto`.
        array: Any shape; float32, float64, int32, int64, uint8, bool, or objects of type bytes,
            which become DT_STRING.

    Raises:
        ValueError: The array has another dtype.

    Example:
        >>> from emotion_ai.serving_api.messages import TensorProto
        >>> proto = TensorProto()
        >>> fill_tensor(proto, np.zeros((1, 96, 96, 1), np.uint8))
        >>> read_tensor(proto).shape
        (1, 96, 96, 1)
    """
    data_type = _BY_DTYPE.get(array.dtype.newbyteorder("<"))
    if data_type is None:
        raise ValueError(f"arrays of {array.dtype} cannot be sent as tensors")
    proto.dtype = data_type.number
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if data_type.dtype == _UINT8:
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, data_type.field).extend(array.ravel().tolist())


class TensorHeader(NamedTuple):
    """What a TensorProto says about its values, checked; no value has been read.

    Attributes:
        dtype: The array's dtype.
        field: The name of the field of that type.
        shape: The array's shape.
        size: The number of its elements.
    """

    dtype: np.dtype
    field: str
    shape: tuple[int, ...]
    size: int


def read_header(proto: Any, max_bytes: int = MAX_TENSOR_BYTES) -> TensorHeader:
    """Check the type, the shape and the number of values of a TensorProto, and read none of them.

    Its cost does not depend on how many values there are.

    Args:
        proto: A `TensorProto`.
        max_bytes: The limit of the array's size; a string counts as eight bytes.

    Raises:
        ValueError: The shape is unknown or has over 254 dimensions, the dtype is unsupported, the
            number of values does not fit the shape, or the array would take more than `max_bytes`.
    """
    data_type = _BY_NUMBER.get(proto.dtype)
    if data_type is None:
        raise ValueError(f"tensors of DataType {proto.dtype} are not supported")
    dimensions = proto.tensor_shape.dim
    if len(dimensions) > MAX_DIMENSIONS:
        raise ValueError(f"a tensor of {len(dimensions)} dimensions; at most {MAX_DIMENSIONS}")
    shape = tuple(dim.size for dim in dimensions)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError(f"a tensor of unknown shape {format_shape(shape)} holds no values")
    count = math.prod(shape)
    dtype = data_type.dtype
    if count * dtype.itemsize > max_bytes:
        raise ValueError(
            f"a tensor of shape {format_shape(shape)} is larger than {max_bytes} bytes"
        )
    if proto.tensor_content and dtype != _BYTES:
        length = len(proto.tensor_content)
        if length != count * dtype.itemsize:
            raise ValueError(f"{length} bytes do not fit shape {format_shape(shape)} of {dtype}")
    elif len(getattr(proto, data_type.field)) > count:
        length = len(getattr(proto, data_type.field))
        raise ValueError(f"{length} values do not fit shape {format_shape(shape)}")
    return TensorHeader(dtype, data_type.field, shape, count)


def read_elements(proto: Any, header: TensorHeader, start: int, stop: int) -> NDArray:
    """Read the elements from `start` to before `stop`, in row-major order, as a flat array."""
    if proto.tensor_content and header.dtype != _BYTES:
        size = header.dtype.itemsize
        content = memoryview(proto.tensor_content)[start * size : stop * size]
        return np.frombuffer(content, dtype=header.dtype)
    field = getattr(proto, header.field)
    values = field[start:stop]
    # Small integers share a field of int32; TensorFlow keeps their low bits.
    wire_dtype = _WIRE_DTYPES.get(header.field, header.dtype)
    array = np.fromiter(values, wire_dtype, len(values))
    missing = stop - start - len(values)
    if missing:
        # The last value of a shorter list is repeated; an empty list means zeros.
        empty = b"" if header.dtype == _BYTES else 0
        last = np.full(missing, field[-1] if len(field) else empty, wire_dtype)
        array = np.concatenate([array, last]) if len(array) else last
    return array.astype(header.dtype, copy=False)


def numpy_dtype(number: int) -> np.dtype | None:
    """Return the dtype of a `tensorflow.DataType`; None if it is unsupported."""
    data_type = _BY_NUMBER.get(number)
    return None if data_type is None else data_type.dtype


def read_tensor(proto: Any, max_bytes: int = MAX_TENSOR_BYTES) -> NDArray:
    """Read the array of a TensorProto.

    Args:
        proto: A `TensorProto`.
        max_bytes: The limit of the array's size.

    Returns:
        An array of the tensor's shape and dtype; strings become an object array of bytes.

    Raises:
        ValueError: The tensor is invalid or too large; see `read_header`.
    """
    header = read_header(proto, max_bytes)
    return read_elements(proto, header, 0, header.size).reshape(header.shape)


def format_shape(shape: tuple[int, ...]) -> str:
    """Write a shape for a message: a long one in part."""
    shown = ",".join(map(str, shape[:_SHOWN_DIMENSIONS]))
    return f"[{shown}{',...' if len(shape) > _SHOWN_DIMENSIONS else ''}]"
