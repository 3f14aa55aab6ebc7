"""A proxy in front of a Cloud Storage server that refuses requests and loses responses."""

import contextlib
import http.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from support.http_servers import running_http_server

_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_HOP_HEADERS = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class StorageProxy:
    """Forwards requests to `upstream`; `refused` counts those that it answered with an error."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.address = ""
        self.refused = 0
        self._status = 0
        self._remaining = 0
        self._lose_response = False

    def refuse(self, count: int, status: int) -> None:
        """Answer the next `count` requests with this status instead of forwarding them."""
        self._status, self._remaining, self._lose_response, self.refused = status, count, False, 0

    def lose_responses(self, count: int) -> None:
        """Forward the next `count` writes, but answer 503."""
        self._status, self._remaining, self._lose_response, self.refused = 503, count, True, 0

    def decide(self, method: str) -> tuple[int, bool]:
        """Return the status to answer with (0: the server's), and whether to forward."""
        if not self._remaining or (self._lose_response and method not in _WRITES):
            return 0, True
        self._remaining -= 1
        self.refused += 1
        return self._status, self._lose_response


@contextlib.contextmanager
def running_storage_proxy(upstream: str) -> Iterator[StorageProxy]:
    """Run a proxy on loopback in front of the server at this address."""
    proxy = StorageProxy(upstream)
    with running_http_server(type("Handler", (_Handler,), {"proxy": proxy})) as address:
        proxy.address = address
        yield proxy


class _Handler(BaseHTTPRequestHandler):
    proxy: StorageProxy
    protocol_version = "HTTP/1.1"
    # Headers and body in two packets would each wait for an acknowledgement.
    wbufsize = -1

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        error_status, forward = self.proxy.decide(self.command)
        response = self._forward(body) if forward else (0, [], b"")
        if error_status:
            response = (error_status, [("Content-Type", "text/plain")], b"refused by the test")
        status, headers, data = response
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_HEADERS}
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()

    def log_message(self, *_: object) -> None:
        """Log nothing, so that the tests' output shows failures only."""
