"""Unary methods of an asyncio gRPC server, and the status that an exception becomes."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.unpacking import is_packed, unpack

# Parsing holds everybody up; these requests have a name, a version and some fields.
_MAX_REQUEST_BYTES = 64 * 1024
# A message has to be there in this time, from its first byte to its last.
ARRIVAL_S = 30.0
# Once the server ends: strangers must not delay that for long.
_LAST_ARRIVAL_S = 4.0
# Messages that are on their way; for a further one, the oldest is given up.
MAX_ARRIVING = 256
# Called with a message and its call's context.
Method = Callable[[bytes, Any], Awaitable[bytes]]
_log = logging.getLogger(__name__)


class Arrivals:
    """Reads the message of each call, however slowly it comes: bounded in time and number.

    gRPC has read a call's headers by then, and waits for its message for ever. Create it on the
    event loop.

    Args:
        max_bytes: The limit of a message that its caller has compressed; negative is none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._unpacker = ThreadPoolExecutor(1, "unpack")
        # Those that wait, the longest first.
        self._waiting: OrderedDict[asyncio.Timeout, None] = OrderedDict()
        self._is_ending = False

    def handler(self, function: Method) -> grpc.RpcMethodHandler:
        """Return the handler of a unary method, called with the message and the context."""

        async def call(_: Any, context: Any) -> bytes:
            return await function(await self.read(context), context)

        # As a stream of one message: gRPC leaves the reading to the method.
        return grpc.stream_unary_rpc_method_handler(call)

    async def read(self, context: Any) -> bytes:
        """Return a call's message; aborts the call if it does not come."""
        try:
            async with asyncio.timeout(ARRIVAL_S) as limit:
                if len(self._waiting) >= MAX_ARRIVING:
                    oldest, _ = self._waiting.popitem(last=False)
                    oldest.reschedule(0.0)
                self._waiting[limit] = None
                try:
                    data = await context.read()
                finally:
                    self._waiting.pop(limit, None)
        except TimeoutError:
            if self._is_ending:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server has ended")
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED, "the request's message did not arrive in time"
            )
        if data is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INTERNAL, "a request without a message")
        return await self._unpack(bytes(data), context)

    async def _unpack(self, data: bytes, context: Any) -> bytes:
        if not is_packed(data):
            return data
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._unpacker, unpack, data, self._max_bytes)
        except StatusError as error:
            await context.abort(error.code, error.message)
            raise AssertionError("abort raises") from None

    def end(self) -> None:
        """Give the messages that are on their way some seconds; the server takes no more calls."""
        self._is_ending = True
        latest = asyncio.get_running_loop().time() + _LAST_ARRIVAL_S
        for limit in self._waiting:
            limit.reschedule(min(limit.when() or latest, latest))


def unary_method(method: Callable[[Any], Any], request_class: Any) -> Method:
    """Return the function of a method that answers small requests at once."""

    async def call(data: bytes, context: Any) -> bytes:
        async with abort_on_error(context):
            check_request_size(data)
            return bytes(method(request_class.FromString(data)).SerializeToString())
        raise AssertionError("abort raises")

    return call


def check_request_size(data: bytes) -> None:
    """Raise RESOURCE_EXHAUSTED for a request, other than Predict, that is longer than 64 KiB."""
    if len(data) > _MAX_REQUEST_BYTES:
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"a request of {len(data)} bytes; at most {_MAX_REQUEST_BYTES} are read",
        )


@contextlib.asynccontextmanager
async def abort_on_error(context: Any) -> AsyncIterator[None]:
    """Turn what is raised within the block into the call's status."""
    try:
        yield
    except Exception as error:
        status_error = to_status_error(error)
        await context.abort(status_error.code, status_error.message)


def to_status_error(error: Exception) -> StatusError:
    """Return the status of an exception; one that nobody foresaw is logged, and INTERNAL."""
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
    return StatusError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
