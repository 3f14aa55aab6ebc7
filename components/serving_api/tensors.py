"""NumPy arrays to and from TensorProto, of whichever descriptor pool the message is.

Values travel as TensorFlow Serving sends them by default: in the field of their type (`float_val`
and its kin), so that clients which read only that field work; uint8 alone travels as
`tensor_content`, which is a fifth of the size. Both are read.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# What a tensor may unpack to: its shape can promise far more than the message holds, since the
# last value stands for all that follow.
MAX_BYTES = 256 * 1024 * 1024


class _Kind(NamedTuple):
    number: int
    dtype: np.dtype
    field: str


# Numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
_KINDS = (
    _Kind(1, np.dtype("<f4"), "float_val"),
    _Kind(2, np.dtype("<f8"), "double_val"),
    _Kind(3, np.dtype("<i4"), "int_val"),
    _Kind(4, np.dtype("u1"), "int_val"),
    _Kind(7, np.dtype(object), "string_val"),
    _Kind(9, np.dtype("<i8"), "int64_val"),
    _Kind(10, np.dtype(bool), "bool_val"),
)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_DTYPE = {kind.dtype: kind for kind in _KINDS}
_UINT8 = np.dtype("u1")
_BYTES = np.dtype(object)


def fill_tensor(proto: Any, array: NDArray) -> None:
    """Write an array into an empty TensorProto.

    dtypes: float32, float64, int32, int64, uint8, bool, and object arrays of bytes as DT_STRING.
    Raises `ValueError` for any other dtype.
    """
    kind = _BY_DTYPE.get(array.dtype.newbyteorder("<"))
    if kind is None:
        raise ValueError(f"arrays of {array.dtype} cannot be sent as tensors")
    proto.dtype = kind.number
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if kind.dtype == _UINT8:
        proto.tensor_content = array.tobytes()
    else:
        getattr(proto, kind.field).extend(array.ravel().tolist())


def read_tensor(proto: Any) -> NDArray:
    """The array of a TensorProto; strings come as an object array of bytes.

    Raises `ValueError` for an unknown shape, an unsupported dtype, a number of values that does
    not fit the shape, and more than `MAX_BYTES`.
    """
    kind = _BY_NUMBER.get(proto.dtype)
    if kind is None:
        raise ValueError(f"tensors of DataType {proto.dtype} are not supported")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError(f"a tensor of unknown shape {shape} holds no values")
    count = math.prod(shape)
    if count * kind.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"a tensor of shape {shape} is larger than {MAX_BYTES} bytes")
    if proto.tensor_content and kind.dtype != _BYTES:
        return _from_content(proto.tensor_content, kind.dtype, shape)
    values = getattr(proto, kind.field)
    if len(values) > count:
        raise ValueError(f"{len(values)} values do not fit shape {shape}")
    missing = count - len(values)
    # A shorter list stands for itself with its last value repeated; an empty one for zeros.
    array = np.array(values, dtype=kind.dtype)
    last = array[-1:] if len(values) else np.array([b""] if kind.dtype == _BYTES else [0])
    return np.concatenate([array, np.repeat(last.astype(kind.dtype), missing)]).reshape(shape)


def _from_content(content: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes do not fit shape {shape} of {dtype}")
    return np.frombuffer(content, dtype=dtype).reshape(shape)
