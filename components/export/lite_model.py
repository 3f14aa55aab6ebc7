"""A `model.tflite` in memory, run on batches of any size. Imports TensorFlow."""

import queue
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# An interpreter is allocated for one batch size, and reallocating it takes longer than a face.
# A batch saves Python's part of each call; the arithmetic for a face costs the same.
_BATCH_SIZES = (16, 4, 1)


class _Interpreter(NamedTuple):
    interpreter: Any
    input_index: int
    output_indices: dict[str, int]


class LiteModel:
    """A TensorFlow Lite model with one input, batch first; safe to call from several threads.

    Args:
        content: Content of a `model.tflite` file.
        copies: How many calls run at once; further callers wait.

    Attributes:
        input: Name of the input.

    Raises:
        ValueError: `content` is not a TensorFlow Lite model with one input.

    Example:
        >>> from pathlib import Path
        >>> model = LiteModel(Path("models/3/model.tflite").read_bytes())
        >>> model.run(np.zeros((2, 96, 96, 1), np.uint8))["keypoints"].shape
        (2, 15, 2)
    """

    def __init__(self, content: bytes, copies: int = 1) -> None:
        self._free: queue.SimpleQueue[dict[int, _Interpreter]] = queue.SimpleQueue()
        for _ in range(copies):
            self._free.put({size: _load_interpreter(content, size) for size in _BATCH_SIZES})
        interpreter = _load_interpreter(content, 1).interpreter
        self.input: str = interpreter.get_input_details()[0]["name"]
        self._empty_outputs = {
            details["name"]: _empty_output(details) for details in interpreter.get_output_details()
        }

    @property
    def outputs(self) -> set[str]:
        """The names of the outputs."""
        return set(self._empty_outputs)

    def run(self, values: NDArray) -> dict[str, NDArray]:
        """Run the model.

        Args:
            values: The input, batch first; the batch may be empty.

        Returns:
            Every output by name, batch first; strings as an object array of bytes.
        """
        if not len(values):
            return dict(self._empty_outputs)
        by_size = self._free.get()
        try:
            parts = [_invoke(by_size[len(part)], part) for part in _split(values)]
        finally:
            self._free.put(by_size)
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _load_interpreter(content: bytes, batch_size: int) -> _Interpreter:
    with warnings.catch_warnings():
        # Each interpreter warns that its successor is a separate package.
        warnings.simplefilter("ignore")
        # From memory: a mapped file that is truncated would end the process.
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        raise ValueError(f"a TensorFlow Lite model with {len(inputs)} inputs; expected 1")
    input_index = inputs[0]["index"]
    interpreter.resize_tensor_input(input_index, [batch_size, *inputs[0]["shape"][1:]])
    interpreter.allocate_tensors()
    output_indices = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    return _Interpreter(interpreter, input_index, output_indices)


def _empty_output(details: dict[str, Any]) -> NDArray:
    dtype = object if details["dtype"] is np.bytes_ else details["dtype"]
    return np.empty((0, *details["shape"][1:]), dtype)


def _split(values: NDArray) -> Iterator[NDArray]:
    """Split a batch into parts of the sizes for which there are interpreters."""
    start = 0
    for size in _BATCH_SIZES:
        while len(values) - start >= size:
            yield values[start : start + size]
            start += size


def _invoke(model: _Interpreter, values: NDArray) -> dict[str, NDArray]:
    model.interpreter.set_tensor(model.input_index, values)
    model.interpreter.invoke()
    return {
        name: model.interpreter.get_tensor(index) for name, index in model.output_indices.items()
    }
