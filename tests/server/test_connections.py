"""Connections that say nothing, little or too much hold nobody up."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from emotion_ai.server import http_server as http_server_module
from emotion_ai.server import rpc
from emotion_ai.server.host_header import is_own_host
from emotion_ai.server.http_server import Answer, Request, http_server
from emotion_ai.server.rpc import Arrivals, unary_method

from support.server_calls import eventually

GET = b"GET /path?query HTTP/1.1\r\nHost: localhost\r\n"


@contextlib.contextmanager
def _serving(timeout_s: float | None = 30.0, host: str = "127.0.0.1") -> Iterator[int]:
    def respond(request: Request) -> Answer:
        if request.path == "/defect":
            raise KeyError("a defect")
        return Answer(200, "text/plain", f"{request.method} {request.path}")

    def refuse(code: int, reason: str) -> Answer:
        return Answer(code, "text/plain", f"refused: {reason}")

    with http_server(host, 0, timeout_s, respond, refuse) as port:
        yield port


def _connect(port: int, data: bytes = b"", host: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection((host, port), timeout=60)
    connection.sendall(data)
    return connection


def _read_all(connection: socket.socket) -> bytes:
    data = b""
    with connection:
        while part := connection.recv(65536):
            data += part
    return data


def _ask(port: int, data: bytes) -> bytes:
    """What a caller reads who closes their side after the request."""
    connection = _connect(port, data)
    connection.shutdown(socket.SHUT_WR)
    return _read_all(connection)


def test_answers_follow_each_other_on_a_connection() -> None:
    with _serving() as port:
        answer = _ask(port, (GET + b"\r\n") * 2)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.endswith(b"\r\n\r\nGET /path")


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_body_is_no_request(method: bytes) -> None:
    inner = GET + b"\r\n"
    head = GET.replace(b"GET", method) + b"Content-Length: %d\r\n\r\n" % len(inner)
    with _serving() as port:
        answer = _ask(port, head + inner)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.endswith(method + b" /path")
        # The next one is.
        assert _ask(port, head + inner + inner).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    "header",
    [
        b"Transfer-Encoding: chunked",
        b"Content-Length: -1",
        b"Content-Length: 0\r\nContent-Length: 31",
    ],
)
def test_connection_ends_after_a_body_of_no_known_length(header: bytes) -> None:
    with _serving() as port:
        connection = _connect(port, GET + header + b"\r\n\r\n")
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answer


def test_bodies_have_limits_one_at_a_time_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server_module, "MAX_BODY_BYTES", 100_000)
    monkeypatch.setattr(http_server_module, "_MAX_BODIES_BYTES", 150_000)
    post = GET.replace(b"GET", b"POST")

    def head(size: int) -> bytes:
        return post + b"Content-Length: %d\r\n\r\n" % size

    with _serving() as port:
        assert _ask(port, head(100_001) + b"1" * 100_001).startswith(b"HTTP/1.1 413 ")
        first = _connect(port, head(100_000) + b"1" * 99_999)
        answers: list[bytes] = []

        def second_is_refused() -> bool:
            answers.append(_ask(port, head(100_000) + b"1" * 100_000))
            return answers[-1].startswith(b"HTTP/1.1 429 ")

        # Once the first body has arrived.
        eventually(second_is_refused)
        first.sendall(b"1")
        first.shutdown(socket.SHUT_WR)
        assert _read_all(first).startswith(b"HTTP/1.1 200 ")
        assert _ask(port, head(100_000) + b"1" * 100_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", GET, GET + b"Content-Length: 9\r\n\r\nabc"])
def test_slow_requests_end_in_time(sent: bytes) -> None:
    with _serving(timeout_s=0.3) as port:
        connection = _connect(port, sent)
        # A byte now and then keeps no connection.
        dripping = True
        while dripping:
            try:
                connection.sendall(b"x")
                connection.settimeout(0.02)
                dripping = connection.recv(100) != b""
            except TimeoutError:
                continue
            except OSError:
                dripping = False
        connection.close()


def test_silent_connections_take_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server_module, "MAX_CONNECTIONS", 4)
    with _serving() as port:
        silent = [_connect(port, b"GET /") for _ in range(20)]
        assert _ask(port, GET + b"\r\n").startswith(b"HTTP/1.1 200 ")
        # The oldest has gone.
        assert _read_all(silent[0]) == b""
        for connection in silent[1:]:
            connection.close()


def test_reset_connections_and_defects_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with _serving() as port, caplog.at_level(logging.INFO):
        connection = _connect(port, GET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        eventually(lambda: "has gone" in caplog.text)
        assert "Traceback" not in caplog.text
        assert len(caplog.messages) == 1
        assert _ask(port, b"GET /defect HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
        eventually(lambda: "a defect" in caplog.text)
        assert _ask(port, GET + b"\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("header", "listened_on", "is_own"),
    [
        ("localhost", "127.0.0.1", True),
        ("127.0.0.1:8501", "127.0.0.1", True),
        ("[::1]:8501", "::1", True),
        ("evil.example", "127.0.0.1", False),
        ("evil.example", "localhost", False),
        ("models.example:8501", "192.0.2.1", True),
        ("models.example", "models.example", True),
        ("a b", "192.0.2.1", False),
        ("", "192.0.2.1", False),
    ],
)
def test_host_is_checked(header: str, listened_on: str, is_own: bool) -> None:
    assert is_own_host(header, listened_on) == is_own


@pytest.mark.parametrize("headers", [b"Host: evil.example\r\n", b"", b"Host: a\r\nHost: b\r\n"])
def test_request_for_another_host_is_refused(headers: bytes) -> None:
    with _serving() as port:
        answer = _ask(port, b"GET /path HTTP/1.1\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert answer.endswith(b"refused: the server does not answer to this Host")


def test_ipv6_is_listened_on() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    for host in ("::1", "[::1]", "::"):
        with _serving(host=host) as port:
            connection = _connect(port, GET + b"Connection: close\r\n\r\n", "::1")
            assert _read_all(connection).endswith(b"GET /path")


@contextlib.asynccontextmanager
async def _echo() -> Any:
    """Yields a channel to a server whose method /a.B/C sends a GetModelStatusRequest back."""
    from emotion_ai.serving_api.messages import GetModelStatusRequest

    server = grpc.aio.server()
    method = Arrivals(1 << 20).handler(unary_method(lambda request: request, GetModelStatusRequest))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(None)


def test_message_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "ARRIVAL_S", 0.1)

    async def wait() -> None:
        async with _echo() as channel:
            # A call whose message is never sent.
            call = channel.stream_unary("/a.B/C")()
            assert await call.code() == grpc.StatusCode.DEADLINE_EXCEEDED

    asyncio.run(asyncio.wait_for(wait(), 60))


def test_calls_without_a_message_take_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "MAX_ARRIVING", 2)

    async def crowd() -> None:
        async with _echo() as channel:
            silent = [channel.stream_unary("/a.B/C")() for _ in range(5)]
            done = {asyncio.ensure_future(call.code()) for call in silent}
            codes = set()
            while len(codes) < 3:
                finished, done = await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
                codes |= finished
            assert {code.result() for code in codes} == {grpc.StatusCode.DEADLINE_EXCEEDED}
            assert await channel.unary_unary("/a.B/C")(b"", timeout=60) == b""
            for call in silent:
                call.cancel()
            await asyncio.wait(done)

    asyncio.run(asyncio.wait_for(crowd(), 60))


def test_requests_of_names_are_small() -> None:
    async def ask() -> None:
        async with _echo() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/a.B/C")(bytes(64 * 1024 + 1), timeout=60)
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(asyncio.wait_for(ask(), 60))
