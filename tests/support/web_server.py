"""A web server on loopback whose replies are the test's."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class WebServer:
    """What a web server was asked: the address, and the request headers."""

    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)


Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def web_server(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """Serve on loopback."""
    served = WebServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.requests.append((self.path, dict(self.headers)))
            with contextlib.suppress(OSError):
                reply(self)

        def log_message(self, *_: object) -> None:
            """Discard the message."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Discard failed handshakes."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        served.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield served
        server.shutdown()


def send(content: bytes, kind: str = "application/octet-stream") -> Reply:
    """Reply with this content, or the range of it that is asked for."""

    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked = handler.headers["Range"]
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(content) - start))
        if asked:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", span)
        handler.end_headers()
        handler.wfile.write(content[start:])

    return reply
