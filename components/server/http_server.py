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
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from emotion_ai.server.deadline_reader import DeadlineReader
from emotion_ai.server.host_header import is_own_host

# Each is a thread. Probes and Prometheus have a few.
MAX_CONNECTIONS = 64
# Of a body, and of all that are under way together.
MAX_BODY_BYTES = 4 * 1024 * 1024
_MAX_BODIES_BYTES = 32 * 1024 * 1024
_PART_BYTES = 64 * 1024
_MAX_FORGOTTEN_BYTES = 64 * 1024 * 1024
# Answers under way have this long once the server ends.
_LAST_ANSWERS_S = 5.0
_PAUSE_S = 0.1
_METHODS = "GET, POST"
_log = logging.getLogger(__name__)


class Request(NamedTuple):
    """What is asked: the path is without a query."""

    method: str
    path: str
    headers: Message
    body: bytes


class Answer(NamedTuple):
    """What a request is answered with."""

    code: int
    content_type: str
    content: str | bytes
    headers: Mapping[str, str] = {}


Respond = Callable[[Request], Answer]
# Called with a code and a reason.
Refuse = Callable[[int, str], Answer]


@contextlib.contextmanager
def http_server(
    host: str, port: int, timeout_s: float | None, respond: Respond, refuse: Refuse
) -> Iterator[int]:
    """Serve HTTP on threads during a `with` block.

    Args:
        host: The address to listen on, IPv6 in brackets or not.
        port: 0 is any free port.
        timeout_s: Seconds in which a request has to arrive, or an answer to be taken, until the
            connection is closed; None is never.
        respond: Answers GET and POST.
        refuse: Makes the answer to a request for another host, or with a body that is not read.

    Yields:
        The port.

    Raises:
        OSError: The address cannot be listened on.
    """
    host = host.strip("[]")

    class Handler(_Handler):
        limit_s = timeout_s

        def answer(self, request: Request) -> Answer:
            names = self.headers.get_all("Host", [])
            wanted = self.request_version == "HTTP/1.0" and not names
            if wanted or (len(names) == 1 and is_own_host(names[0], host)):
                return respond(request)
            return refuse(403, "the server does not answer to this Host")

        def refuse(self, code: int, reason: str) -> Answer:
            return refuse(code, reason)

    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    server = type("_FamilyServer", (_Server,), {"address_family": family})((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="rest", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.finish_answers()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """Closes the connection that has waited longest when there are too many."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        # Those that wait for a request, the longest first.
        self._waiting: OrderedDict[socket.socket, None] = OrderedDict()
        self._open = 0
        self._body_bytes = 0
        self.is_ending = False
        self._logged_at = float("-inf")
        self._lock = threading.Lock()
        super().__init__(*arguments)

    def set_waiting(self, connection: socket.socket, *, is_waiting: bool) -> None:
        with self._lock:
            self._waiting.pop(connection, None)
            if is_waiting:
                self._waiting[connection] = None

    def take_body_bytes(self, size: int) -> bool:
        """Count bytes of a body that is under way, unless there are too many."""
        with self._lock:
            fits = self._body_bytes + size <= _MAX_BODIES_BYTES
            self._body_bytes += size if fits else 0
            return fits

    def give_body_bytes(self, size: int) -> None:
        """Count bytes of a body no more."""
        with self._lock:
            self._body_bytes -= size

    def finish_answers(self) -> None:
        """Wait for the answers under way; connections end after them."""
        self.is_ending = True
        deadline = time.monotonic() + _LAST_ANSWERS_S
        while time.monotonic() < deadline:
            with self._lock:
                if self._open <= len(self._waiting):
                    return
            time.sleep(_PAUSE_S / 10)

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


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "emotion-ai"
    sys_version = ""
    server: _Server
    limit_s: float | None
    answer: Respond
    refuse: Refuse

    def setup(self) -> None:
        super().setup()
        self._reader = DeadlineReader(self.connection)
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
        body = bytearray()
        try:
            refusal = self._read_body(body)
            path = self.path.partition("?")[0]
            self._send(refusal or self.answer(Request(method, path, self.headers, bytes(body))))
        finally:
            self.server.give_body_bytes(len(body))

    def _read_body(self, body: bytearray) -> Answer | None:
        """Read the body into an empty array, or return why not."""
        length = self.headers.get("Content-Length", "0")
        has_length = length.isdecimal() and len(self.headers.get_all("Content-Length", ())) <= 1
        if "Transfer-Encoding" in self.headers or not has_length:
            self.close_connection = True
            return self.refuse(411, "a body needs a Content-Length")
        refusal = None
        if int(length) > MAX_BODY_BYTES:
            refusal = self.refuse(
                413, f"a body of {length} bytes; at most {MAX_BODY_BYTES} are read"
            )
        self.server.set_waiting(self.connection, is_waiting=True)
        # What is refused is read too, as far as that goes: who is still sending reads no answer.
        left = min(int(length), _MAX_FORGOTTEN_BYTES)
        while left and (part := self.rfile.read(min(left, _PART_BYTES))):
            left -= len(part)
            if refusal is None and not self.server.take_body_bytes(len(part)):
                refusal = self.refuse(429, "many bodies are under way")
            if refusal is None:
                body += part
        self.server.set_waiting(self.connection, is_waiting=False)
        self.close_connection |= left > 0 or int(length) > _MAX_FORGOTTEN_BYTES
        return refusal or (self.refuse(400, "the body was cut off") if left else None)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what cannot be read, and methods that are not known, as other refusals."""
        # A body may follow; a version that cannot be read counts as that without a head.
        self.close_connection = True
        self.request_version = self.protocol_version
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = 405, f"method {self.command[:20]}; expected {_METHODS}"
        self._send(self.refuse(code, message or HTTPStatus(code).phrase))

    def _send(self, answer: Answer) -> None:
        body = answer.content
        body = body.encode() if isinstance(body, str) else body
        self.connection.settimeout(self.limit_s)
        self.close_connection |= self.server.is_ending
        self.send_response(answer.code)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", _METHODS)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a probe every few seconds would bury the log."""
