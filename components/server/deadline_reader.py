"""Reads a connection until a deadline, however slowly its bytes come."""

import io
import socket
import time
from typing import Any


class DeadlineReader(io.RawIOBase):
    """Raises TimeoutError at its deadline, a `time.monotonic()`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = float("inf")

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(None if left == float("inf") else left)
        return self._connection.recv_into(buffer)
