"""The stand-in for the API server of Kubeflow Pipelines, over HTTP on loopback."""

import contextlib
import email
import email.policy
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.http_servers import running_http_server
from support.kfp_api_server import KfpApiServer, Refused, Row


@contextlib.contextmanager
def running_kfp_api_server() -> Iterator[KfpApiServer]:
    """Run an empty server on loopback."""
    content = KfpApiServer()
    with running_http_server(type("Handler", (_Handler,), {"content": content})) as address:
        content.address = address
        yield content


class _Handler(BaseHTTPRequestHandler):
    content: KfpApiServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.content.token
        try:
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                raise Refused(401, "Unauthenticated")
            content = _content(body, self.headers.get("Content-Type") or "")
            status, answer = 200, self.content.answer(self.command, self.path, content)
        except Refused as refused:
            status, answer = refused.status, self._error(refused)
        except ConnectionError:
            self.close_connection = True
            return
        data = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _error(self, refused: Refused) -> Row:
        if "/upload" in self.path:
            return {"error_message": str(refused), "error_details": f"{refused}\nmain.go:1"}
        stack = {"error_message": str(refused), "error_details": "stack"}
        return {"error": str(refused), "code": 3, "message": str(refused), "details": [stack]}

    do_GET = do_POST = do_DELETE = _handle

    def log_message(self, *_: object) -> None:
        """Log nothing, so that the tests' output shows failures only."""


def _content(body: bytes, content_type: str) -> Any:
    if not content_type.startswith("multipart/"):
        return json.loads(body or b"{}")
    header = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(header + body, policy=email.policy.HTTP)
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "uploadfile"
    return part.get_payload(decode=True)
