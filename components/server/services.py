"""TensorFlow Serving's PredictionService and ModelService for an asyncio gRPC server.

Every method is a coroutine: no thread waits between reading a request and writing its response.
Only a reload runs on a thread, because it loads models. Does not import TensorFlow.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.batching import Arrays, Batcher, Task
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.errors import MAX_MESSAGE_LENGTH, StatusError, invalid_argument
from emotion_ai.server.metadata import MISSING_SPEC, get_model_metadata, get_model_status
from emotion_ai.server.metrics import Metrics
from emotion_ai.server.predict_request import ParsedRequest, build_response, parse_request
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

# One runs at a time; the others wait for it.
_MAX_RELOADS = 16
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _AwaitableTask(Task):
    """A task with a future that completes when the task is done."""

    finished: asyncio.Future[None] = field(kw_only=True)


class PredictionService:
    """Predict and GetModelMetadata. Create it on the event loop that serves."""

    def __init__(
        self,
        manager: VersionManager[Any],
        policy: BatchPolicy,
        metrics: Metrics,
        max_requests: int,
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(policy, self._on_tasks_done)
        self._max_requests = max_requests
        self._requests = 0
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

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register with the gRPC server."""
        return grpc.method_handlers_generic_handler(
            messages.PREDICTION_SERVICE,
            {
                "Predict": grpc.unary_unary_rpc_method_handler(self._predict),
                "GetModelMetadata": _unary_method(
                    lambda request: get_model_metadata(self._manager, request),
                    messages.GetModelMetadataRequest,
                ),
            },
        )

    async def _predict(self, data: bytes, context: Any) -> bytes:
        started = time.perf_counter()
        labels, status = ("", ""), grpc.StatusCode.OK
        self._requests += 1
        try:
            if self._requests > self._max_requests:
                raise StatusError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"{self._max_requests} requests are in progress",
                )
            request = messages.PredictRequest.FromString(data)
            if not request.HasField("model_spec"):
                raise invalid_argument(MISSING_SPEC)
            with self._manager.use(request.model_spec) as (version, model):
                labels = (request.model_spec.name, str(version))
                parsed = parse_request(model.signatures, request)
                outputs = await self._run(labels, model, parsed, context.time_remaining())
            response = build_response(request.model_spec.name, version, parsed, outputs)
            await self._may_answer.wait()
            return bytes(response.SerializeToString())
        except asyncio.CancelledError:
            status = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            status_error = _to_status_error(error)
            status = status_error.code
            await self._may_answer.wait()
            await context.abort(status, status_error.message)
            raise AssertionError("abort raises") from None
        finally:
            self._requests -= 1
            seconds = time.perf_counter() - started
            self._metrics.record_request(*labels, status.name, seconds)

    async def _run(
        self, labels: tuple[str, str], model: Any, parsed: ParsedRequest, timeout_s: float | None
    ) -> Arrays:
        signature, inputs = parsed.signature, parsed.inputs
        rows = len(next(iter(inputs.values()))) if signature.is_batched else 1
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        task = _AwaitableTask(inputs, rows, deadline, finished=self._loop.create_future())

        def run_model(arrays: Arrays) -> Arrays:
            started = time.perf_counter()
            outputs: Arrays = model.run(signature, arrays)
            seconds = time.perf_counter() - started
            self._metrics.record_runtime(*labels, model.runtime(signature), seconds)
            return outputs

        self._batcher.submit(_batch_key(model, parsed), run_model, task)
        try:
            await task.finished
        finally:
            task.cancelled = True
        if task.error is not None:
            raise task.error
        return task.outputs or {}

    def _on_tasks_done(self, tasks: list[Task]) -> None:
        # RuntimeError: the event loop is closed, and no request waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_complete, tasks)


def _complete(tasks: list[Task]) -> None:
    for task in tasks:
        if isinstance(task, _AwaitableTask) and not task.finished.done():
            task.finished.set_result(None)


def _batch_key(model: Any, parsed: ParsedRequest) -> Hashable:
    """Requests share a batch if they have the same version, signature and inner shapes."""
    if not parsed.signature.is_batched:
        return object()
    inner_shapes = tuple(array.shape[1:] for array in parsed.inputs.values())
    return id(model), parsed.signature_name, inner_shapes


class ModelService:
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, manager: VersionManager[Any], config_poller: ConfigPoller) -> None:
        self._manager = manager
        self._config_poller = config_poller
        self._reloads: set[asyncio.Task[None]] = set()
        self._reload_lock = asyncio.Lock()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register with the gRPC server."""
        return grpc.method_handlers_generic_handler(
            messages.MODEL_SERVICE,
            {
                "GetModelStatus": _unary_method(
                    lambda request: get_model_status(self._manager, request),
                    messages.GetModelStatusRequest,
                ),
                "HandleReloadConfigRequest": grpc.unary_unary_rpc_method_handler(self._reload),
            },
        )

    async def _reload(self, data: bytes, context: Any) -> bytes:
        async with _abort_on_error(context):
            request = messages.ReloadConfigRequest.FromString(data)
            if len(self._reloads) >= _MAX_RELOADS:
                raise StatusError(
                    grpc.StatusCode.UNAVAILABLE, f"{_MAX_RELOADS} reloads are in progress"
                )
            # A reload goes on when its caller has gone, and the next one waits for it.
            task = asyncio.create_task(self._reload_alone(request.config))
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)
            await asyncio.shield(task)
            response = messages.ReloadConfigResponse()
            response.status.SetInParent()
            return bytes(response.SerializeToString())
        raise AssertionError("abort raises")

    async def _reload_alone(self, config: Any) -> None:
        async with self._reload_lock:
            await _run_on_thread(lambda: self._config_poller.reload(config))


def _run_on_thread(function: Callable[[], None]) -> Awaitable[None]:
    """Run a function on a thread that does not delay the exit, unlike one of a pool."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            function()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return asyncio.wrap_future(future)


def _unary_method(method: Callable[[Any], Any], request_class: Any) -> grpc.RpcMethodHandler:
    async def call(data: bytes, context: Any) -> bytes:
        async with _abort_on_error(context):
            return bytes(method(request_class.FromString(data)).SerializeToString())
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(call)


@contextlib.asynccontextmanager
async def _abort_on_error(context: Any) -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:
        status_error = _to_status_error(error)
        await context.abort(status_error.code, status_error.message)


def _to_status_error(error: Exception) -> StatusError:
    if isinstance(error, StatusError):
        return error
    if isinstance(error, InputError):
        return invalid_argument(str(error))
    if isinstance(error, Unavailable):
        return StatusError(grpc.StatusCode.UNAVAILABLE, str(error))
    if isinstance(error, DecodeError):
        return StatusError(grpc.StatusCode.INTERNAL, "the request is not a valid protobuf message")
    # A defect of the server or the model, and no mistake in the request.
    _log.error("a request failed", exc_info=error)
    return StatusError(
        grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:MAX_MESSAGE_LENGTH]
    )
