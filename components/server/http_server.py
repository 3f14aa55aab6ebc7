"""A small HTTP server for strangers: bounded in connections, time and words; on threads.

The standard library's server keeps a thread for each connection, for as long as the other side
sends a byte now and then, takes the body of a GET for the next request, and writes a traceback for
each connection that is reset.
"""

import contextlib
import errno
import io
import logging
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from emotion_ai.server.host_header import is_own_host

# Each is a thread. Probes and Prometheus have a few.
MAX_CONNECTIONS = 64
_MAX_BODY_BYTES = 64 * 1024
_PAUSE_S = 0.1
_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What a request is answered with."""

    code: int
    content_type: str
    text: str


# Called with the method and the path, without a query.
Respond = Callable[[str, str], Answer]


@contextlib.contextmanager
def http_server(
    host: str, port: int, timeout_s: float | None, respond: Respond, refusal: Answer
) -> Iterator[int]:
    """Serve HTTP on threads during a `with` block.

    Args:
        host: The address to listen on, IPv6 in brackets or not.
        port: 0 is any free port.
        timeout_s: Seconds in which a request has to arrive, or an answer to be taken, until the
            connection is closed; None is never.
        respond: Answers GET and POST; bodies are not read.
        refusal: The answer to a request for another host.

    Yields:
        The port.

    Raises:
        OSError: The address cannot be listened on.
    """
    host = host.strip("[]")

    class Handler(_Handler):
        limit_s = timeout_s

        def answer(self, method: str, path: str) -> Answer:
            names = self.headers.get_all("Host", [])
            wanted = self.request_version == "HTTP/1.0" and not names
            if wanted or (len(names) == 1 and is_own_host(names[0], host)):
                return respond(method, path)
            return refusal

    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    server = type("_FamilyServer", (_Server,), {"address_family": family})((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="rest", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Closes the connection that has waited longest when there are too many."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        # Those that wait for a request, the longest first.
        self._waiting: OrderedDict[socket.socket, None] = OrderedDict()
        self._open = 0
        self._logged_at = float("-inf")
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def set_waiting(self, connection: socket.socket, *, is_waiting: bool) -> None:
        with self._lock:
            self._waiting.pop(connection, None)
            if is_waiting:
                self._waiting[connection] = None

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                # Otherwise this is tried again without a pause.
                self._close_oldest()
                time.sleep(_PAUSE_S)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            is_full = self._open >= MAX_CONNECTIONS
        return not is_full or self._close_oldest()

    def _close_oldest(self) -> bool:
        with self._lock:
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            del self._waiting[oldest]
            # Its thread, which is reading, ends.
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        return True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open -= 1
                self._waiting.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        import sys

        error = sys.exception()
        if isinstance(error, OSError):
            # One line a second: strangers must not fill the log.
            now = time.monotonic()
            if now - self._logged_at >= 1.0:
                self._logged_at = now
                _log.info("REST: %s has gone: %s", client_address[0], error.strerror or error)
        else:
            _log.error("REST: a request failed", exc_info=error)


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until a deadline, however slowly its bytes come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.deadline = float("inf")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request did not arrive in time")
        self._connection.settimeout(None if left == float("inf") else left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "emotion-ai"
    sys_version = ""
    server: _Server
    limit_s: float | None
    answer: Callable[[str, str], Answer]

    def setup(self) -> None:
        super().setup()
        self._reader = _DeadlineReader(self.connection)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        """Wait for a request, and answer it."""
        if self.limit_s is not None:
            self._reader.deadline = time.monotonic() + self.limit_s
        self.server.set_waiting(self.connection, is_waiting=True)
        super().handle_one_request()

    def parse_request(self) -> bool:
        self.server.set_waiting(self.connection, is_waiting=False)
        return super().parse_request()

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        self._discard_body()
        self._send(self.answer(method, self.path.partition("?")[0]))

    def _discard_body(self) -> None:
        """Read the body and forget it; where that takes long, the connection ends instead."""
        length = self.headers.get("Content-Length", "0")
        has_length = length.isdecimal() and len(self.headers.get_all("Content-Length", ())) <= 1
        if "Transfer-Encoding" in self.headers or not has_length or int(length) > _MAX_BODY_BYTES:
            self.close_connection = True
        else:
            self.rfile.read(int(length))

    def _send(self, answer: Answer) -> None:
        body = answer.text.encode()
        self.connection.settimeout(self.limit_s)
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a probe every few seconds would bury the log."""
