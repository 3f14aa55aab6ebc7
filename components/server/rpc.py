"""Unary methods of an asyncio gRPC server, and the status that an exception becomes."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.errors import StatusError, invalid_argument

# Parsing holds everybody up; these requests have a name, a version and some fields.
_MAX_REQUEST_BYTES = 64 * 1024
_log = logging.getLogger(__name__)


def unary_method(method: Callable[[Any], Any], request_class: Any) -> grpc.RpcMethodHandler:
    """Return the handler of a method that answers small requests at once."""

    async def call(data: bytes, context: Any) -> bytes:
        async with abort_on_error(context):
            check_request_size(data)
            return bytes(method(request_class.FromString(data)).SerializeToString())
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(call)


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
