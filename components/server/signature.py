"""The inputs and outputs of a SavedModel's signature. Does not import TensorFlow."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.serving_api.tensors import numpy_dtype

DEFAULT_SIGNATURE = "serving_default"


class InputSpec(NamedTuple):
    """An input of a signature.

    Attributes:
        tensor: The name of the graph's tensor that it feeds.
        dtype: The number of its `tensorflow.DataType`.
        shape: -1 is a dimension of any size; None is an unknown rank.
    """

    tensor: str
    dtype: int
    shape: tuple[int, ...] | None


class Signature(NamedTuple):
    """The inputs and outputs of a SavedModel's signature, in alphabetical order.

    Attributes:
        inputs: Specs by alias.
        outputs: Names of the graph's tensors by alias.
        is_batched: Whether every input and output has a first dimension of any size.
        empty_outputs: The outputs for a batch of none, which convolutions refuse in some builds of
            TensorFlow; None if the signature does not tell their shapes.
    """

    inputs: dict[str, InputSpec]
    outputs: dict[str, str]
    is_batched: bool
    empty_outputs: dict[str, NDArray] | None = None


def parse_signature(definition: Any) -> Signature:
    """Convert a `SignatureDef` message."""
    inputs = {
        alias: InputSpec(info.name, info.dtype, _shape(info))
        for alias, info in sorted(definition.inputs.items())
    }
    outputs = {alias: info.name for alias, info in sorted(definition.outputs.items())}
    shapes = [_shape(info) for info in (*definition.inputs.values(), *definition.outputs.values())]
    is_batched = bool(inputs) and all(shape and shape[0] == -1 for shape in shapes)
    empty = _empty_outputs(definition.outputs) if is_batched else None
    return Signature(inputs, outputs, is_batched, empty)


def _empty_outputs(outputs: Mapping[str, Any]) -> dict[str, NDArray] | None:
    arrays = {}
    for alias, info in outputs.items():
        _, *inner = _shape(info) or ()
        dtype = numpy_dtype(info.dtype)
        if -1 in inner or dtype is None:
            return None
        arrays[alias] = np.empty((0, *inner), dtype)
    return arrays


def _shape(info: Any) -> tuple[int, ...] | None:
    shape = info.tensor_shape
    return None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
