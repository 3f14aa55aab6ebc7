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
MAX_TENSOR_BYTES = 256 * 1024 * 1024


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


def read_tensor(proto: Any) -> NDArray:
    """Read the array of a TensorProto.

    Args:
        proto: A `TensorProto`.

    Returns:
        An array of the tensor's shape and dtype; strings become an object array of bytes.

    Raises:
        ValueError: The shape is unknown, the dtype is unsupported, the number of values does not
            fit the shape, or the array would take more than `MAX_TENSOR_BYTES`.
    """
    data_type = _BY_NUMBER.get(proto.dtype)
    if data_type is None:
        raise ValueError(f"tensors of DataType {proto.dtype} are not supported")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError(f"a tensor of unknown shape {shape} holds no values")
    count = math.prod(shape)
    if count * data_type.dtype.itemsize > MAX_TENSOR_BYTES:
        raise ValueError(f"a tensor of shape {shape} is larger than {MAX_TENSOR_BYTES} bytes")
    if proto.tensor_content and data_type.dtype != _BYTES:
        return _read_content(proto.tensor_content, data_type.dtype, shape)
    values = getattr(proto, data_type.field)
    if len(values) > count:
        raise ValueError(f"{len(values)} values do not fit shape {shape}")
    missing = count - len(values)
    # The last value of a shorter list is repeated; an empty list means zeros.
    array = np.array(values, dtype=data_type.dtype)
    last = array[-1:] if len(values) else np.array([b""] if data_type.dtype == _BYTES else [0])
    return np.concatenate([array, np.repeat(last.astype(data_type.dtype), missing)]).reshape(shape)


def _read_content(content: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes do not fit shape {shape} of {dtype}")
    return np.frombuffer(content, dtype=dtype).reshape(shape)
