"""A proxy in front of a Cloud Storage server that has bad days on demand."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_WRITES = {"POST", "PUT", "PATCH", "DELETE"}
_NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class Proxy:
    """Passes requests on to `upstream`; `refused` counts those that it answered itself."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.address = ""
        self.refused = 0
        self._status = 0
        self._left = 0
        self._lost = False

    def refuse(self, count: int, status: int) -> None:
        """Answer the next `count` requests with this status."""
        self._status, self._left, self._lost, self.refused = status, count, False, 0

    def lose_answers(self, count: int) -> None:
        """Pass the next `count` writes on, and answer 503 all the same."""
        self._status, self._left, self._lost, self.refused = 503, count, True, 0

    def fate(self, method: str) -> tuple[int, bool]:
        """The status to answer a request with (0: the server's own), and whether to pass it on."""
        if not self._left or (self._lost and method not in _WRITES):
            return 0, True
        self._left -= 1
        self.refused += 1
        return self._status, self._lost


@contextlib.contextmanager
def running_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy on loopback in front of the server at this address."""
    proxy = Proxy(upstream)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    # Headers and body in two packets would wait for each other's acknowledgement.
    wbufsize = -1

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, passed = self.proxy.fate(self.command)
        answer = self._asked(body) if passed else (0, [], b"")
        if status:
            answer = (status, [("Content-Type", "text/plain")], b"refused by the test")
        status, headers, data = answer
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _NOT_PASSED_ON}
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=30)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()

    def log_message(self, *_: object) -> None:
        """Keep the tests' output for what went wrong."""
