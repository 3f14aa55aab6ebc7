"""How requests share batches: by TensorFlow Serving's parameters, or without waiting."""

from typing import Any, NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.processors import available_cores
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.parameter_files import read_parameters

# A few bytes can stand for any number of rows, because the last value is repeated.
MAX_ROWS = 1024
_MAX_BATCH_SIZE = 1 << 20
_MAX_THREADS = 1024
_MAX_TIMEOUT_MICROS = 60_000_000
# Without --enable_batching, requests that are already waiting share the next run, and no request
# waits for others. A batch of everything that waits would leave the next free thread without work
# until these clients send their next requests.
MAX_SHARED_BATCH_SIZE = 8
# LiteRT takes as long for each face of a batch as for a face alone.
_MAX_SHARED_LITE_BATCH_SIZE = 4
_MAX_SHARED_BATCHES = 2048
# Larger requests run in pieces of this many rows. Pieces of 8 cost a tenth more; but with a single
# thread, small requests wait for a piece to end.
_ROWS_PER_PIECE = 32


class BatchPolicy(NamedTuple):
    """How requests are put together; sizes are rows along the first dimension of the inputs.

    Attributes:
        max_batch_size: A batch takes requests up to this many rows.
        timeout_s: Seconds that the first request of a batch waits for others.
        max_enqueued_batches: Batches that may wait in one queue.
        num_threads: Batches that run at once.
        allowed_batch_sizes: Batches are padded to one of these sizes; () leaves them as they are.
        max_request_size: Rows that one request may have.
        max_execution_batch_size: Rows that the model receives at once; None is no limit.
    """

    max_batch_size: int
    timeout_s: float
    max_enqueued_batches: int
    num_threads: int
    allowed_batch_sizes: tuple[int, ...] = ()
    max_request_size: int = MAX_ROWS
    max_execution_batch_size: int | None = None

    def max_execution_size(self) -> int:
        """Return the rows of a request that are run at once."""
        return self.max_execution_batch_size or self.max_batch_size

    @classmethod
    def from_flags(cls, flags: ServerFlags) -> "BatchPolicy":
        """Return the policy for the server's flags, with a thread for each core.

        Raises:
            InputError: `batching_parameters_file` is missing or invalid.
        """
        cores = available_cores()
        if not flags.enable_batching:
            lite = flags.prefer_tflite_model
            size = _MAX_SHARED_LITE_BATCH_SIZE if lite else MAX_SHARED_BATCH_SIZE
            rows = _ROWS_PER_PIECE if cores > 1 else size
            return cls(size, 0.0, _MAX_SHARED_BATCHES, cores, max_execution_batch_size=rows)
        path = flags.batching_parameters_file
        parameters = read_parameters("BatchingParameters", path)
        try:
            return cls.from_parameters(parameters, cores)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    @classmethod
    def from_parameters(cls, parameters: Any, cores: int) -> "BatchPolicy":
        """Return the policy of a `BatchingParameters` message, with TensorFlow Serving's defaults.

        Args:
            parameters: The message; see `parameter_files`.
            cores: The default of `num_batch_threads`.

        Raises:
            InputError: A parameter is out of range or contradicts another.
        """

        def value(name: str, default: int, minimum: int, maximum: int = _MAX_BATCH_SIZE) -> int:
            number = getattr(parameters, name).value if parameters.HasField(name) else default
            if not minimum <= number <= maximum:
                raise InputError(f"{name} {number}: expected {minimum} to {maximum}")
            return int(number)

        max_batch_size = value("max_batch_size", 1000, 1)
        splits = parameters.enable_large_batch_splitting.value
        allowed = tuple(parameters.allowed_batch_sizes)
        max_execution = (
            value("max_execution_batch_size", max_batch_size, 1) if splits else max_batch_size
        )
        if list(allowed) != sorted(set(allowed)):
            raise InputError("allowed_batch_sizes entries must be monotonically increasing")
        if allowed and allowed[-1] != max_execution:
            raise InputError(
                f"final entry in allowed_batch_sizes must equal max_batch_size, {max_execution}"
            )
        return cls(
            max_batch_size=max_batch_size,
            timeout_s=value("batch_timeout_micros", 0, 0, _MAX_TIMEOUT_MICROS) / 1e6,
            max_enqueued_batches=value("max_enqueued_batches", 10, 1),
            num_threads=value("num_batch_threads", cores, 1, _MAX_THREADS),
            allowed_batch_sizes=allowed,
            max_request_size=max(MAX_ROWS, max_batch_size) if splits else max_batch_size,
            max_execution_batch_size=max_execution,
        )
