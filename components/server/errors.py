"""Errors that a client receives as a gRPC status; the codes are TensorFlow Serving's."""

from grpc import StatusCode

# gRPC sends an error message in a header, and headers are small; names in requests may be long.
# As in tensorflow_serving/model_servers/grpc_status_util.cc.
_MAX_MESSAGE_BYTES = 1024


class StatusError(Exception):
    """A request failed with a status code and a message."""

    def __init__(self, code: StatusCode, message: str) -> None:
        data = message.encode(errors="replace")
        if len(data) > _MAX_MESSAGE_BYTES:
            message = data[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + "...TRUNCATED"
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """Return INVALID_ARGUMENT: the request itself is wrong."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """Return NOT_FOUND: no such model or version is served."""
    return StatusError(StatusCode.NOT_FOUND, message)
