"""The REST port: what it answers to methods that it does not have, and to what is no request."""

import json
import socket
from collections.abc import Iterator

import pytest

from emotion_ai.server.http_server import Answer, Request, http_server


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    def respond(request: Request) -> Answer:
        return Answer(200, "text/plain", request.method)

    def refuse(code: int, reason: str) -> Answer:
        return Answer(code, "application/json", json.dumps({"error": reason}))

    with http_server("127.0.0.1", 0, 5.0, respond, refuse) as port:
        yield port


def ask(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Send a request; return the head and the body of the answer, after which it ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW"])
def test_unknown_methods_are_refused_in_json(port: int, method: str) -> None:
    head, body = ask(port, f"{method} /v1/models/emotion_ai HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, POST\r\n" in head
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"error": f"method {method}; expected GET, POST"}


def test_head_is_answered_without_a_body(port: int) -> None:
    head, body = ask(port, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET, POST" in head
    assert body == b""


@pytest.mark.parametrize(
    ("request_line", "code"),
    [(b"GET / HTTP/x", 400), (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", 414)],
    ids=["version", "long"],
)
def test_what_is_no_request_is_refused_in_json(port: int, request_line: bytes, code: int) -> None:
    head, body = ask(port, request_line + b"\r\n\r\n")
    assert f" {code} ".encode() in head.splitlines()[0]
    assert json.loads(body)["error"]
