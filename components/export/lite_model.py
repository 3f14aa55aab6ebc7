"""A `model.tflite` in memory, asked about faces. Imports TensorFlow."""

import queue
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# An interpreter is laid out for one batch, and laying it out anew takes longer than a face does.
# In a batch a face costs what it costs alone; what is saved is Python's part of each call.
_SIZES = (16, 4, 1)


class _Interpreter(NamedTuple):
    interpreter: Any
    given: int
    answers: dict[str, int]


class LiteModel:
    """A TensorFlow Lite model with one input, batch first; may be asked from several threads.

    `copies` is how many threads it answers at once; more wait. Raises `ValueError` for bytes that
    are no such model.
    """

    def __init__(self, content: bytes, copies: int = 1) -> None:
        self._free: queue.SimpleQueue[dict[int, _Interpreter]] = queue.SimpleQueue()
        for _ in range(copies):
            self._free.put({size: _interpreter(content, size) for size in _SIZES})
        one = _interpreter(content, 1)
        details = one.interpreter.get_output_details()
        self.input: str = one.interpreter.get_input_details()[0]["name"]
        # The outputs by name, for a batch of none.
        self._nothing = {d["name"]: _nothing(d) for d in details}

    @property
    def outputs(self) -> set[str]:
        """The names of what it answers."""
        return set(self._nothing)

    def run(self, values: NDArray) -> dict[str, NDArray]:
        """Every output by name, batch first; texts come as an object array of bytes."""
        if not len(values):
            return dict(self._nothing)
        by_size = self._free.get()
        try:
            parts = [_invoke(by_size[len(part)], part) for part in _parts(values)]
        finally:
            self._free.put(by_size)
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _interpreter(content: bytes, size: int) -> _Interpreter:
    with warnings.catch_warnings():
        # It tells at each that its successor is a package of its own.
        warnings.simplefilter("ignore")
        # From memory: a file that is cut short under a mapping would end the process.
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        raise ValueError(f"a TensorFlow Lite model with {len(inputs)} inputs; expected 1")
    given = inputs[0]["index"]
    interpreter.resize_tensor_input(given, [size, *inputs[0]["shape"][1:]])
    interpreter.allocate_tensors()
    answers = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    return _Interpreter(interpreter, given, answers)


def _nothing(details: dict[str, Any]) -> NDArray:
    dtype = object if details["dtype"] is np.bytes_ else details["dtype"]
    return np.empty((0, *details["shape"][1:]), dtype)


def _parts(values: NDArray) -> Iterator[NDArray]:
    start = 0
    for size in _SIZES:
        while len(values) - start >= size:
            yield values[start : start + size]
            start += size


def _invoke(model: _Interpreter, values: NDArray) -> dict[str, NDArray]:
    model.interpreter.set_tensor(model.given, values)
    model.interpreter.invoke()
    return {name: model.interpreter.get_tensor(index) for name, index in model.answers.items()}
