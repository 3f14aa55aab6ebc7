"""Requests to Kubeflow Pipelines have bounds: in all, in bytes, and in whom they trust."""

import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.publishing import transport
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.server import connect
from emotion_ai.pipeline.publishing.uploads import find_pipeline

from support.certificates import make_certificates

FOUND = json.dumps({"pipelines": [{"pipeline_id": "seven"}]}).encode()


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.contextmanager
def server(
    answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer each connection's first request; yield the address."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # Whoever asks may hang up.
            with contextlib.suppress(OSError), connection:
                connection.settimeout(10)
                secured = context.wrap_socket(connection, server_side=True) if context else None
                with secured or connection as stream:
                    stream.recv(65536)
                    answer(stream)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            # A close alone does not wake the thread.
            listener.shutdown(socket.SHUT_RDWR)


def trickle(start: bytes) -> Callable[[socket.socket], None]:
    """Send this and then single spaces, each well within the time for one; 20 s at most."""

    def answer(stream: socket.socket) -> None:
        stream.sendall(start)
        for _ in range(200):
            stream.sendall(b" ")
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Padding: ", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", id="body"),
        pytest.param(b"HTTP/1.1 500 Failed\r\nContent-Length: 1000000\r\n\r\n", id="failure"),
    ],
)
def test_a_server_that_trickles_is_given_up(
    start: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transport, "_TOTAL_SECONDS", 1.0)
    monkeypatch.setattr(transport, "_MESSAGE_AFTER_SECONDS", 0.5)
    with server(trickle(start)) as address, pytest.raises(Unavailable) as failure:
        find_pipeline(connect(address), Order())
    assert "does not answer: no whole answer within 1 s; is the address right" in str(failure.value)
    assert capsys.readouterr().err == (
        f"waiting for Kubeflow Pipelines at {address}: no answer for 0.5 s; "
        "this gives up after 1 s at the latest\n"
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answered(b" " * 100_000), id="announced"),
        pytest.param(answered(b" " * 100_000, status="500 Failed"), id="failure"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + 100 * (b"1000\r\n" + b" " * 4096 + b"\r\n"),
            id="chunked",
        ),
        pytest.param(
            answered(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip"), id="compressed"
        ),
    ],
)
def test_an_answer_that_is_too_long_is_given_up(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_ANSWER_BYTES", 20_000)
    with (
        server(lambda stream: stream.sendall(answer)) as address,
        pytest.raises(Unavailable, match="an answer of more than 20000 bytes"),
    ):
        find_pipeline(connect(address), Order())


@pytest.mark.parametrize(
    "answer",
    [answered(FOUND), answered(gzip.compress(FOUND), "Content-Encoding: gzip")],
    ids=["plain", "compressed"],
)
def test_an_answer_within_the_bounds_is_read(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_MAX_ANSWER_BYTES", len(FOUND))
    with server(lambda stream: stream.sendall(answer)) as address:
        assert find_pipeline(connect(address), Order()) == "seven"


def test_an_authority_of_ones_own_is_named_in_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = make_certificates()
    chain = tmp_path / "server.pem"
    chain.write_text(certificates.server.key + certificates.server.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    authority = tmp_path / "authority.pem"
    authority.write_text(certificates.authority)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with server(lambda stream: stream.sendall(answered(FOUND)), context) as address:
        with pytest.raises(Unavailable) as failure:
            find_pipeline(connect(address), Order())
        assert "its certificate is not trusted" in str(failure.value)
        assert "name the authority's file in SSL_CERT_FILE" in str(failure.value)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert find_pipeline(connect(address), Order()) == "seven"


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_authorities_is_a_mistake(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(InputError, match=r"^SSL_CERT_FILE: .*authorities\.pem: .*; expected a PEM"):
        connect("https://localhost")


def test_https_where_http_is_spoken_is_told() -> None:
    with server(lambda stream: stream.sendall(answered(FOUND))) as address:
        address = address.replace("http:", "https:")
        with pytest.raises(Unavailable, match="is the address right, http or https, and"):
            find_pipeline(connect(address), Order())


def test_http_where_https_is_spoken_is_told(tmp_path: Path) -> None:
    certificates = make_certificates()
    chain = tmp_path / "server.pem"
    chain.write_text(certificates.server.key + certificates.server.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with server(lambda stream: stream.sendall(answered(FOUND)), context) as address:
        address = address.replace("https:", "http:")
        with pytest.raises(Unavailable, match="is the address right, http or https, and"):
            find_pipeline(connect(address), Order())


def test_an_ipv6_address() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on loopback")
    with listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answered(FOUND))

        threading.Thread(target=accept, daemon=True).start()
        address = f"http://[::1]:{listener.getsockname()[1]}"
        assert find_pipeline(connect(address), Order()) == "seven"
