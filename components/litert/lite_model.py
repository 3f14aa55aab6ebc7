"""A `model.tflite` in memory, run on batches of any size."""

import contextlib
import os
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.errors import InputError, install_hint

# An interpreter is allocated for one batch size, and reallocating it takes longer than a face.
# A batch saves Python's part of each call; the arithmetic for a face costs the same.
_BATCH_SIZES = (16, 4, 1)
# LiteRT writes lines that begin so, and has no setting for them.
_NOTICE = b"INFO: "
_stderr_lock = threading.Lock()


class _Interpreter(NamedTuple):
    interpreter: Any
    input_index: int
    output_indices: dict[str, int]


class LiteModel:
    """A LiteRT model with one input, batch first; safe to call from several threads.

    Args:
        content: Content of a `model.tflite` file.
        copies: How many calls run at once; further callers wait.
        batch_sizes: The sizes for which memory is allocated, descending, with 1; each takes some
            milliseconds to load.

    Attributes:
        input: Name of the input.

    Raises:
        ValueError: `content` is not a LiteRT model with one input.
        InputError: Package ai-edge-litert is not installed.

    Example:
        >>> from pathlib import Path
        >>> model = LiteModel(Path("models/3/model.tflite").read_bytes())
        >>> model.run(np.zeros((2, 96, 96, 1), np.uint8))["keypoints"].shape
        (2, 15, 2)
    """

    def __init__(
        self, content: bytes, copies: int = 1, batch_sizes: Sequence[int] = _BATCH_SIZES
    ) -> None:
        self._sizes = batch_sizes
        self._free: queue.SimpleQueue[dict[int, _Interpreter]] = queue.SimpleQueue()
        with _without_notices():
            for _ in range(copies):
                by_size = {size: _load_interpreter(content, size) for size in batch_sizes}
                self._free.put(by_size)
        one = by_size[1].interpreter
        self.input: str = one.get_input_details()[0]["name"]
        self._empty_outputs = {
            details["name"]: _empty_output(details) for details in one.get_output_details()
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
            parts = [_invoke(by_size[len(part)], part) for part in self._split(values)]
        finally:
            self._free.put(by_size)
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _split(self, values: NDArray) -> Iterator[NDArray]:
        """Split a batch into parts of the sizes for which there are interpreters."""
        start = 0
        for size in self._sizes:
            while len(values) - start >= size:
                yield values[start : start + size]
                start += size


def _load_interpreter(content: bytes, batch_size: int) -> _Interpreter:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as missing:
        raise InputError(
            f"{missing.name} runs model.tflite in this process: {install_hint('local')}"
        ) from None
    # From memory: a mapped file that is truncated would end the process.
    interpreter = Interpreter(model_content=content, num_threads=1)
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
        raise ValueError(f"a LiteRT model with {len(inputs)} inputs; expected 1")
    input_index = inputs[0]["index"]
    interpreter.resize_tensor_input(input_index, [batch_size, *inputs[0]["shape"][1:]])
    interpreter.allocate_tensors()
    output_indices = {d["name"]: d["index"] for d in interpreter.get_output_details()}
    return _Interpreter(interpreter, input_index, output_indices)


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and write it without LiteRT's notices."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_stderr_lock)
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError:
            held = None
        if held is None or sys.stderr is None:
            # No temporary file can be made, or the caller has closed standard error.
            yield
            return
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not line.startswith(_NOTICE):
                    os.write(2, line)


def _empty_output(details: dict[str, Any]) -> NDArray:
    dtype = object if details["dtype"] is np.bytes_ else details["dtype"]
    return np.empty((0, *details["shape"][1:]), dtype)


def _invoke(model: _Interpreter, values: NDArray) -> dict[str, NDArray]:
    model.interpreter.set_tensor(model.input_index, values)
    model.interpreter.invoke()
    return {
        name: model.interpreter.get_tensor(index) for name, index in model.output_indices.items()
    }
