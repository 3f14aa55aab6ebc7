"""Errors that a client receives as a gRPC status; the codes are TensorFlow Serving's."""

from grpc import StatusCode

# gRPC sends an error message in a header, and headers are small.
MAX_MESSAGE_LENGTH = 2_000


class StatusError(Exception):
    """A request failed with a status code and a message."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid_argument(message: str) -> StatusError:
    """Return INVALID_ARGUMENT: the request itself is wrong."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """Return NOT_FOUND: no such model or version is served."""
    return StatusError(StatusCode.NOT_FOUND, message)
