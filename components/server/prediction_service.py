"""TensorFlow Serving's PredictionService for an asyncio gRPC server.

Every method is a coroutine: no thread waits between reading a request and writing its response.
Does not import TensorFlow.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import grpc
import numpy as np

from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.batching import Arrays, Batcher, Task
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.metadata import MISSING_SPEC, get_model_metadata
from emotion_ai.server.metrics import Metrics
from emotion_ai.server.predict_request import (
    Answer,
    Incoming,
    Outputs,
    ParsedRequest,
    parse_message,
    parse_request,
)
from emotion_ai.server.rpc import Arrivals, Method, to_status_error, unary_method
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

_QUIET_S = 1.0


@dataclass(eq=False)
class _AwaitableTask(Task):
    """A task with a future that completes when the task is done."""

    finished: asyncio.Future[None] = field(kw_only=True)


class Limits(NamedTuple):
    """What may be in progress at once; more is refused with RESOURCE_EXHAUSTED.

    Attributes:
        requests: Predict requests.
        bytes: The size of their messages together, unpacked.
    """

    requests: int
    bytes: int


class PredictionService:
    """Predict and GetModelMetadata. Create it on the event loop that serves."""

    def __init__(
        self,
        manager: VersionManager[Any],
        policy: BatchPolicy,
        metrics: Metrics,
        limits: Limits,
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(policy, self._on_tasks_done)
        self._policy = policy
        self._limits = limits
        # For the pieces of large requests: without small requests of late, and with them.
        self._all_threads = asyncio.Semaphore(policy.num_threads)
        self._all_but_one = asyncio.Semaphore(max(1, policy.num_threads - 1))
        self._small_at = float("-inf")
        self._requests = 0
        self._bytes = 0
        self._may_answer = asyncio.Event()
        self._may_answer.set()

    @contextlib.contextmanager
    def hold_answers(self) -> Iterator[None]:
        """Hold the answers of Predict during a `with` block.

        A caller sends its next request when it has its answer: so none is on its way meanwhile.
        """
        self._may_answer.clear()
        try:
            yield
        finally:
            self._may_answer.set()

    def handler(self, arrivals: Arrivals) -> grpc.GenericRpcHandler:
        """Return the handler to register with the gRPC server."""
        return grpc.method_handlers_generic_handler(
            messages.PREDICTION_SERVICE,
            {
                "Predict": arrivals.handler(self.method(parse_message)),
                "GetModelMetadata": arrivals.handler(
                    unary_method(
                        lambda request: get_model_metadata(self._manager, request),
                        messages.GetModelMetadataRequest,
                    )
                ),
            },
        )

    def method(self, read: Callable[[bytes], Incoming[bytes]]) -> Method:
        """Return the function of a gRPC method that answers predictions.

        Args:
            read: Reads its message.
        """

        async def call(data: bytes, context: Any) -> bytes:
            try:
                remaining = context.time_remaining()
                return await self.answer(len(data), partial(read, data), remaining, "GRPC")
            except StatusError as error:
                await self._may_answer.wait()
                await context.abort(error.code, error.message)
                raise AssertionError("abort raises") from None

        return call

    async def answer(
        self,
        size: int,
        read: Callable[[], Incoming[Answer]],
        timeout_s: float | None,
        entrypoint: str,
    ) -> Answer:
        """Answer a request, and count it before its caller has the answer.

        Args:
            size: Its bytes.
            read: Reads it.
            timeout_s: Seconds until its caller waits no longer; None is never.
            entrypoint: How it came, for the metrics: "GRPC" or "REST".

        Returns:
            What the request's `write` makes of the outputs.

        Raises:
            StatusError: It is not answered.
        """
        started = time.perf_counter()
        labels, status = ("", ""), grpc.StatusCode.OK
        self._requests += 1
        self._bytes += size
        try:
            self._check_limits()
            request, write = read()
            if not request.HasField("model_spec"):
                raise invalid_argument(MISSING_SPEC)
            with self._manager.use(request.model_spec) as (version, model):
                labels = (request.model_spec.name, str(version))
                parsed = parse_request(model.signatures, request, self._policy.max_request_size)
                arrays = await self._run(labels, model, parsed, timeout_s)
            selected = {alias: arrays[alias] for alias in parsed.outputs}
            answer = write(Outputs(labels[0], version, parsed.signature_name, selected))
            await self._may_answer.wait()
            return answer
        except asyncio.CancelledError:
            status = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            status_error = to_status_error(error)
            status = status_error.code
            raise status_error from None
        finally:
            self._requests -= 1
            self._bytes -= size
            seconds = time.perf_counter() - started
            self._metrics.record_request(*labels, status.name, seconds, entrypoint)

    def _check_limits(self) -> None:
        limits = self._limits
        reason = ""
        if self._requests > limits.requests:
            reason = f"{limits.requests} requests are in progress"
        elif self._bytes > limits.bytes:
            reason = f"requests of {limits.bytes} bytes are in progress"
        if reason:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    async def _run(
        self, labels: tuple[str, str], model: Any, parsed: ParsedRequest, timeout_s: float | None
    ) -> Arrays:
        empty = parsed.signature.empty_outputs
        if not parsed.rows and empty is not None:
            return empty
        deadline = None if timeout_s is None else time.monotonic() + timeout_s

        def run_model(arrays: Arrays) -> Arrays:
            started = time.perf_counter()
            outputs: Arrays = model.run(parsed.signature, arrays)
            seconds = time.perf_counter() - started
            self._metrics.record_runtime(*labels, model.runtime(parsed.signature), seconds)
            return outputs

        def submit(key: Hashable, start: int, stop: int) -> _AwaitableTask:
            finished = self._loop.create_future()
            inputs = parsed.read(start, stop)
            task = _AwaitableTask(inputs, stop - start, deadline, finished=finished)
            self._batcher.submit(key, run_model, task)
            return task

        key = _batch_key(model, parsed)
        pieces = list(parsed.pieces(self._policy.max_execution_size()))
        if len(pieces) == 1 and parsed.rows <= self._policy.max_batch_size:
            self._small_at = time.monotonic()
            return await _finish(submit(key, *pieces[0]))
        # Between pieces the batcher looks at the deadline, and gRPC cancels this coroutine when the
        # caller has gone.
        parts = [
            await self._run_piece(partial(submit, (key, "pieces"), *piece)) for piece in pieces
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    async def _run_piece(self, submit: Callable[[], _AwaitableTask]) -> Arrays:
        threads = self._threads_for_pieces()
        await threads.acquire()
        try:
            task = submit()
        except BaseException:
            threads.release()
            raise
        # Not before it ends, even if the caller leaves: until then it has its thread.
        task.finished.add_done_callback(lambda _: threads.release())
        return await _finish(task)

    def _threads_for_pieces(self) -> asyncio.Semaphore:
        """A thread stays free for small requests where there are some."""
        is_quiet = time.monotonic() - self._small_at > _QUIET_S
        return self._all_threads if is_quiet else self._all_but_one

    def _on_tasks_done(self, tasks: list[Task]) -> None:
        # RuntimeError: the event loop is closed, and no request waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_complete, tasks)


async def _finish(task: _AwaitableTask) -> Arrays:
    """Wait for a task; it is not run once nobody waits."""
    try:
        await asyncio.shield(task.finished)
    finally:
        task.cancelled = True
    if task.error is not None:
        raise task.error
    return task.outputs or {}


def _complete(tasks: list[Task]) -> None:
    for task in tasks:
        if isinstance(task, _AwaitableTask) and not task.finished.done():
            task.finished.set_result(None)


def _batch_key(model: Any, parsed: ParsedRequest) -> Hashable:
    """Requests share a batch if they have the same version, signature and inner shapes."""
    if not parsed.signature.is_batched:
        return object()
    inner_shapes = tuple(header.shape[1:] for _, header in parsed.tensors.values())
    return id(model), parsed.signature_name, inner_shapes
