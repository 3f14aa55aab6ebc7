"""The gRPC health service of the server (grpc.health.v1), on the event loop.

A watch is a waiting coroutine: it takes no thread, and a slow one delays nobody. The servicers of
grpcio-health-checking keep a thread for each watch, or send under a lock that all watches share.
"""

import asyncio
import contextlib
import logging
import math
from typing import Any

import grpc

from emotion_ai.server.errors import not_found
from emotion_ai.server.rpc import Arrivals, abort_on_error, check_request_size
from emotion_ai.serving_api.messages import INFERENCE_SERVICE, MODEL_SERVICE, PREDICTION_SERVICE

# TensorFlow Serving has the short names.
SERVICES = (
    "",
    "PredictionService",
    "ModelService",
    PREDICTION_SERVICE,
    MODEL_SERVICE,
    INFERENCE_SERVICE,
)
MAX_WATCHES = 4096
_log = logging.getLogger(__name__)


class Health:
    """Reports SERVING while every model has an available version. Create it on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._serving = False
        self._draining = False
        self._expiry: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._watches = 0

    def handler(self, arrivals: Arrivals) -> grpc.GenericRpcHandler:
        """Return the handler to register with the gRPC server."""

        async def watch(_: Any, context: Any) -> None:
            await self._watch(await arrivals.read(context), context)

        methods = {
            "Check": arrivals.handler(self._check),
            "Watch": grpc.stream_stream_rpc_method_handler(watch),
        }
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)

    def set_serving(self, serving: bool, valid_s: float) -> None:
        """Report SERVING or NOT_SERVING for every service; may be called on any thread.

        Args:
            serving: Whether the server serves.
            valid_s: Seconds after which it is NOT_SERVING, unless this is called again; may be
                infinite.
        """
        # RuntimeError: the event loop is closed, and nobody watches any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._set, serving, valid_s)

    def is_serving(self) -> bool:
        """Whether it reports SERVING; may be called on any thread."""
        return self._serving

    def drain(self) -> None:
        """Report NOT_SERVING from now on, and end the watches: they would delay the shutdown."""
        self._draining = True
        self._set(False, math.inf)

    def _expire(self) -> None:
        _log.error("the configuration has not been looked at for long: the health is NOT_SERVING")
        self._set(False, math.inf)

    def _set(self, serving: bool, valid_s: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None
        if serving and valid_s < math.inf:
            self._expiry = self._loop.call_later(valid_s, self._expire)
        self._serving = serving and not self._draining
        self._changed.set()
        self._changed = asyncio.Event()

    def _status(self) -> int:
        from grpc_health.v1.health_pb2 import HealthCheckResponse

        return HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING

    async def _check(self, data: bytes, context: Any) -> bytes:
        async with abort_on_error(context):
            if _service(data) not in SERVICES:
                raise not_found("unknown service")
            return _response(self._status())
        raise AssertionError("abort raises")

    async def _watch(self, data: bytes, context: Any) -> None:
        from grpc_health.v1.health_pb2 import HealthCheckResponse

        async with abort_on_error(context):
            service = _service(data)
        if self._watches >= MAX_WATCHES:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MAX_WATCHES} health watches are open"
            )
        self._watches += 1
        try:
            sent = None
            while True:
                # Read together, before anything is awaited.
                changed, is_last = self._changed, self._draining
                # The protocol's answer to an unknown name: it might be registered later.
                unknown = service not in SERVICES
                status = HealthCheckResponse.SERVICE_UNKNOWN if unknown else self._status()
                if status != sent:
                    await context.write(_response(status))
                    sent = status
                if is_last:
                    return
                await changed.wait()
        finally:
            self._watches -= 1


def _service(data: bytes) -> str:
    from grpc_health.v1.health_pb2 import HealthCheckRequest

    check_request_size(data)
    return str(HealthCheckRequest.FromString(data).service)


def _response(status: int) -> bytes:
    from grpc_health.v1.health_pb2 import HealthCheckResponse

    return bytes(HealthCheckResponse(status=status).SerializeToString())
