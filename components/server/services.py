"""TensorFlow Serving's PredictionService and ModelService for an asyncio gRPC server.

Predict is a coroutine: between its reading of a request and its writing of the answer no thread
waits. The other calls are rare, and run on threads. Knows no TensorFlow.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.batching import Arrays, Batcher, BatchPolicy, Task
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.errors import StatusError, invalid
from emotion_ai.server.metadata import MISSING_SPEC, model_metadata, model_status
from emotion_ai.server.metrics import Metrics
from emotion_ai.server.predict_request import Prepared, prepare, response_to
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Pending(Task):
    """A task and the coroutine's way to learn that it is done."""

    finished: asyncio.Future[None] = field(kw_only=True)


class PredictionService:
    """Predict and GetModelMetadata; to be made on the event loop that will serve."""

    def __init__(self, manager: VersionManager[Any], policy: BatchPolicy, metrics: Metrics) -> None:
        self._manager = manager
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._batcher = Batcher(policy, self._deliver)

    def handler(self) -> grpc.GenericRpcHandler:
        """What the server registers."""
        return grpc.method_handlers_generic_handler(
            messages.PREDICTION_SERVICE,
            {
                "Predict": grpc.unary_unary_rpc_method_handler(self._predict),
                "GetModelMetadata": _method(
                    lambda request: model_metadata(self._manager, request),
                    messages.GetModelMetadataRequest,
                ),
            },
        )

    async def _predict(self, data: bytes, context: Any) -> bytes:
        started = time.perf_counter()
        labels, status = ("", ""), grpc.StatusCode.OK
        try:
            request = messages.PredictRequest.FromString(data)
            if not request.HasField("model_spec"):
                raise invalid(MISSING_SPEC)
            with self._manager.use(request.model_spec) as (version, model):
                labels = (request.model_spec.name, str(version))
                prepared = prepare(model.signatures, request)
                outputs = await self._run(labels, model, prepared, context.time_remaining())
            return bytes(response_to(request, version, prepared, outputs).SerializeToString())
        except asyncio.CancelledError:
            status = grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            refusal = _refusal(error)
            status = refusal.code
            await context.abort(refusal.code, refusal.message)
            raise AssertionError("abort raises") from None
        finally:
            seconds = time.perf_counter() - started
            self._metrics.request(*labels, status.name, seconds)

    async def _run(
        self, labels: tuple[str, str], model: Any, prepared: Prepared, seconds: float | None
    ) -> Arrays:
        signature, inputs = prepared.signature, prepared.inputs
        rows, key = 1, _kind(model, prepared)
        if signature.is_batched:
            rows = len(next(iter(inputs.values())))
        deadline = None if seconds is None else time.monotonic() + seconds
        task = _Pending(inputs, rows, deadline, finished=self._loop.create_future())

        def run(arrays: Arrays) -> Arrays:
            started = time.perf_counter()
            outputs: Arrays = model.run(signature, arrays)
            took = time.perf_counter() - started
            self._metrics.runtime(*labels, model.runtime(signature), took)
            return outputs

        self._batcher.submit(key, run, task)
        try:
            await task.finished
        finally:
            task.cancelled = True
        if task.failure is not None:
            raise task.failure
        return task.outputs or {}

    def _deliver(self, tasks: list[Task]) -> None:
        # RuntimeError: the server has stopped, and nobody waits any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_finish, tasks)


def _finish(tasks: list[Task]) -> None:
    for task in tasks:
        if isinstance(task, _Pending) and not task.finished.done():
            task.finished.set_result(None)


def _kind(model: Any, prepared: Prepared) -> Hashable:
    """Requests of one kind may share a batch: same version, signature and inner shapes."""
    if not prepared.signature.is_batched:
        return object()
    return id(model), prepared.name, tuple(array.shape[1:] for array in prepared.inputs.values())


class ModelService:
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, manager: VersionManager[Any], follower: ConfigPoller) -> None:
        self._manager = manager
        self._follower = follower

    def handler(self) -> grpc.GenericRpcHandler:
        """What the server registers."""
        return grpc.method_handlers_generic_handler(
            messages.MODEL_SERVICE,
            {
                "GetModelStatus": _method(
                    lambda request: model_status(self._manager, request),
                    messages.GetModelStatusRequest,
                ),
                "HandleReloadConfigRequest": _method(self._reload, messages.ReloadConfigRequest),
            },
        )

    def _reload(self, request: Any) -> Any:
        self._follower.reload(request.config)
        response = messages.ReloadConfigResponse()
        response.status.SetInParent()
        return response


def _method(answer: Callable[[Any], Any], request_class: Any) -> grpc.RpcMethodHandler:
    def call(data: bytes, context: grpc.ServicerContext) -> bytes:
        with _refusals(context):
            return bytes(answer(request_class.FromString(data)).SerializeToString())

    return grpc.unary_unary_rpc_method_handler(call)


@contextlib.contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        refusal = _refusal(error)
        context.abort(refusal.code, refusal.message)


def _refusal(error: Exception) -> StatusError:
    if isinstance(error, StatusError):
        return error
    if isinstance(error, InputError):
        return invalid(str(error))
    if isinstance(error, Unavailable):
        return StatusError(grpc.StatusCode.UNAVAILABLE, str(error))
    if isinstance(error, DecodeError):
        return StatusError(
            grpc.StatusCode.INTERNAL, "the request is not the message that it should be"
        )
    # A defect of ours or of the model: the caller learns that it is not theirs.
    _log.error("a request failed", exc_info=error)
    return StatusError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:2_000])
