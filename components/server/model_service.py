"""TensorFlow Serving's ModelService for an asyncio gRPC server.

Only a reload runs on a thread, because it loads models. Does not import TensorFlow.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

import grpc

from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.metadata import get_model_status
from emotion_ai.server.rpc import Arrivals, abort_on_error, check_request_size, unary_method
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages

# One runs at a time; the others wait for it.
_MAX_RELOADS = 16


class ModelService:
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(
        self, manager: VersionManager[Any], config_poller: ConfigPoller, flags: ServerFlags
    ) -> None:
        self._manager = manager
        self._config_poller = config_poller
        self._allow_reload = flags.allow_reload
        self._reloads: set[asyncio.Task[None]] = set()
        self._reload_lock = asyncio.Lock()

    def handler(self, arrivals: Arrivals) -> grpc.GenericRpcHandler:
        """Return the handler to register with the gRPC server."""
        return grpc.method_handlers_generic_handler(
            messages.MODEL_SERVICE,
            {
                "GetModelStatus": arrivals.handler(
                    unary_method(
                        lambda request: get_model_status(self._manager, request),
                        messages.GetModelStatusRequest,
                    )
                ),
                "HandleReloadConfigRequest": arrivals.handler(self._reload),
            },
        )

    async def _reload(self, data: bytes, context: Any) -> bytes:
        async with abort_on_error(context):
            if not self._allow_reload:
                # Whoever may ask for predictions reaches this method too.
                raise StatusError(
                    grpc.StatusCode.PERMISSION_DENIED,
                    "HandleReloadConfigRequest is off; --allow_reload admits the models' folders",
                )
            check_request_size(data)
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
