"""uvicorn's connections, with bounds for strangers: on their number, and on the time they take.

uvicorn itself refuses everybody when there are too many connections, silent ones included, and
waits for as long as a byte comes now and then.
"""

import abc
import asyncio
from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

# A browser opens six for a page, and one for its camera.
MAX_CONNECTIONS = 64
# What is read at once: 170 of the smallest parts of a message, some 3 ms; and of a whole body.
_READ_BYTES, _BODY_READ_BYTES = 1024, 64 * 1024
# Of a message, and pings before it, each of which is answered.
_MAX_PARTS = 100
# In which a request has to arrive, its body apart, and an answer to be taken.
WAIT_S = 10.0


class _BoundedConnection(asyncio.Protocol):
    """Where there are too many connections, the one that has been silent longest is closed.

    One that is being answered is not.
    """

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    heard_at = 0.0
    _write_timer: asyncio.TimerHandle | None = None

    @abc.abstractmethod
    def is_waiting(self) -> bool:
        """Whether the other side is to send or to take something."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # An attribute of asyncio's own transport, 256 KiB.
        cast(Any, transport).max_size = _READ_BYTES
        super().connection_made(transport)
        self.heard_at = self.loop.time()
        self._make_room()

    def _make_room(self) -> None:
        opened = [other for other in self.connections if _is_open(other.transport)]
        if len(opened) > MAX_CONNECTIONS:
            # This one is, if no other.
            waiting = (other for other in opened if other.is_waiting())
            min(waiting, key=lambda other: other.heard_at).transport.abort()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WAIT_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)


def _is_open(transport: asyncio.Transport) -> bool:
    # One that is closed stays for a moment, or until the other side has taken everything.
    return not transport.is_closing() or transport.get_write_buffer_size() > 0


class HttpConnection(_BoundedConnection, H11Protocol):
    """A connection whose next request has to arrive in time."""

    _request_timer: asyncio.TimerHandle | None = None

    def is_waiting(self) -> bool:
        """See `_BoundedConnection.is_waiting`."""
        return not self._is_answering() or self.cycle.more_body or self.flow.write_paused

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._limit_wait()

    def data_received(self, data: bytes) -> None:
        """Look whether a request has come."""
        super().data_received(data)
        self._limit_wait()
        if self._is_upgraded():
            return
        is_body, size = self.conn.their_state is h11.SEND_BODY, _READ_BYTES
        if is_body and self._has_body_in_parts():
            # Each part costs more than it says. Nothing of it is read, and the connection ends.
            self.flow.pause_reading()
        elif is_body:
            size = _BODY_READ_BYTES
        cast(Any, self.transport).max_size = size

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        if self._has_body_in_parts():
            self.transport.close()
        super().on_response_complete()
        # What is left of the request's body, too, has to arrive by then.
        self._limit_wait()

    def _is_upgraded(self) -> bool:
        return self.transport.get_protocol() is not self

    def _has_body_in_parts(self) -> bool:
        return any(name == b"transfer-encoding" for name, _ in self.headers)

    def _limit_wait(self) -> None:
        if self._is_answering() or self._is_upgraded():
            self._stop_timer()
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(WAIT_S, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; amid an answer, where no other has a place, by an end."""
        if self._is_answering() or self.conn.our_state is not h11.IDLE:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def shutdown(self) -> None:
        """End with the server, which waits for answers alone."""
        if self.is_waiting():
            self.transport.abort()
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_timer()
        super().connection_lost(exc)


class CameraConnection(_BoundedConnection, WebSocketsSansIOProtocol):
    """A WebSocket, whose application waits for frames no longer than it wants to."""

    _parts = 0

    def is_waiting(self) -> bool:
        """See `_BoundedConnection.is_waiting`."""
        return True

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too long for the library, which says nothing of it."""
        super().data_received(data)
        # The head comes at once.
        if not self.handshake_initiated:
            self.transport.abort()

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a message, or tell the application that the connection is gone.

        Where uvicorn has closed it for what came on it, that would be a defect.
        """
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)

    def handle_ping(self) -> None:
        """Answer a ping, unless there are too many."""
        if self._count_part():
            super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message, unless there are too many."""
        if self._count_part():
            super().handle_cont(event)

    def _count_part(self) -> bool:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            self.transport.abort()
        return self._parts <= _MAX_PARTS

    def send_receive_event_to_app(self) -> None:
        """Pass on a message, and count anew."""
        self._parts = 0
        super().send_receive_event_to_app()

    def handle_text(self, event: Frame) -> None:
        """Take text for bytes: it would be a traceback where it is not UTF-8."""
        self.handle_bytes(cast(Any, event))
