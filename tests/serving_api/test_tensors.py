"""Arrays to TensorProto and back, and invalid tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from emotion_ai.serving_api.messages import TensorProto
from emotion_ai.serving_api.tensors import fill_tensor, read_elements, read_header, read_tensor

_NUMBERS = st.sampled_from(["<f4", "<f8", "<i4", "<i8", "u1", "?"]).flatmap(
    lambda dtype: npst.arrays(np.dtype(dtype), npst.array_shapes(min_dims=0, min_side=0))
)
_STRINGS = npst.arrays(object, npst.array_shapes(min_dims=0, min_side=0), elements=st.binary())


@given(_NUMBERS | _STRINGS)
def test_read_tensor_returns_what_fill_tensor_wrote(array: NDArray) -> None:
    proto = TensorProto()
    fill_tensor(proto, array)
    restored = read_tensor(TensorProto.FromString(proto.SerializeToString()))
    assert restored.dtype == array.dtype
    np.testing.assert_array_equal(restored, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2.0]], np.float32),
        np.array([3, -(2**40)], np.int64),
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array([b"happy", b"\xff"], dtype=object),
        np.array(7, np.int32),
        np.array([True, False]),
    ],
)
def test_tensorflow_reads_and_writes_the_same_tensors(array: NDArray) -> None:
    import tensorflow as tf

    proto = tf.make_tensor_proto(0.0).__class__()
    fill_tensor(proto, array)
    np.testing.assert_array_equal(tf.make_ndarray(proto), array)
    np.testing.assert_array_equal(read_tensor(tf.make_tensor_proto(array)), array)


def test_read_tensor_repeats_the_last_value() -> None:
    proto = TensorProto(dtype=1, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=4)
    np.testing.assert_array_equal(read_tensor(proto), [1.0, 2.0, 2.0, 2.0])
    proto = TensorProto(dtype=7)
    proto.tensor_shape.dim.add(size=2)
    np.testing.assert_array_equal(read_tensor(proto), [b"", b""])


def _proto(*sizes: int, **fields: object) -> TensorProto:  # type: ignore[valid-type]
    proto = TensorProto(**fields)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (_proto(1 << 40, dtype=1, float_val=[1.0]), "larger than"),
        (_proto(1 << 31, 1 << 31, 1 << 31, dtype=4), "larger than"),
        (_proto(1 << 40, dtype=7), "larger than"),
        (_proto(-1, dtype=1), "unknown shape"),
        (_proto(2, dtype=1, float_val=[1, 2, 3]), "do not fit"),
        (_proto(2, dtype=4, tensor_content=b"abc"), "do not fit"),
        (_proto(2, dtype=20), "not supported"),
        (_proto(*[1] * 255, dtype=4), "255 dimensions; at most 254"),
        (_proto(*[1 << 62] * 254, dtype=4), "larger than"),
    ],
)
def test_read_tensor_rejects_invalid_tensors(proto: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_tensor(proto)


def test_messages_name_a_few_dimensions_of_a_long_shape() -> None:
    with pytest.raises(ValueError, match=r"^2 values do not fit shape \[1,1,1,1,1,1,1,1,\.\.\.\]$"):
        read_header(_proto(*[1] * 200, dtype=1, float_val=[1, 2]))


def test_read_elements_reads_a_piece() -> None:
    """Of many values, or of few that stand for many; TensorFlow keeps the low bits of integers."""
    proto = _proto(1 << 20, dtype=4, int_val=[1, 2, 300])
    header = read_header(proto)
    assert (header.shape, header.size) == ((1 << 20,), 1 << 20)
    assert read_elements(proto, header, 1, 5).tolist() == [2, 44, 44, 44]
    assert read_elements(proto, header, 1000, 1003).tolist() == [44, 44, 44]
    proto = _proto(3, dtype=3, tensor_content=np.arange(3, dtype="<i4").tobytes())
    assert read_elements(proto, read_header(proto), 1, 3).tolist() == [1, 2]


def test_fill_tensor_rejects_other_dtypes() -> None:
    with pytest.raises(ValueError, match="complex64"):
        fill_tensor(TensorProto(), np.zeros(1, np.complex64))
