"""Changes to a Predict request, for tests of what a server takes and refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from support.server_calls import set_model_spec

# What a test does to a valid request.
Change = Callable[[Any], None]
# One black face.
FACE = np.zeros((1, 96, 96, 1), np.uint8)


def images(array: Any) -> Change:
    """Set the input to an array."""

    def change(request: Any) -> None:
        import tensorflow as tf

        request.inputs["images"].CopyFrom(tf.make_tensor_proto(array))

    return change


def tensor(**fields: Any) -> Change:
    """Set the input to a TensorProto with these fields; `shape` is its dimensions."""

    def change(request: Any) -> None:
        from tensorflow.core.framework.tensor_pb2 import TensorProto

        proto = TensorProto(dtype=fields.pop("dtype", 4))
        for size in fields.pop("shape", ()):
            proto.tensor_shape.dim.add(size=size)
        for name, value in fields.items():
            if isinstance(value, list):
                getattr(proto, name).extend(value)
            else:
                setattr(proto, name, value)
        request.inputs["images"].CopyFrom(proto)

    return change


def spec(**fields: Any) -> Change:
    """Set fields of the ModelSpec."""
    return lambda request: set_model_spec(request, fields)


def output_filter(*aliases: str) -> Change:
    """Ask for these outputs alone."""
    return lambda request: request.output_filter.extend(aliases)
