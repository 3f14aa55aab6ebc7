"""What the server refuses, as a gRPC status; the codes are TensorFlow Serving's."""

from grpc import StatusCode


class StatusError(Exception):
    """A request that is answered by a status code and a message instead of a result."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> StatusError:
    """INVALID_ARGUMENT: the request itself is wrong."""
    return StatusError(StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> StatusError:
    """NOT_FOUND: no such model or version is served."""
    return StatusError(StatusCode.NOT_FOUND, message)
