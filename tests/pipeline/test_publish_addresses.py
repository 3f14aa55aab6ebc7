"""Where Kubeflow Pipelines is said to be: addresses, tokens, and what else may answer there."""

import socket
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.publishing import server as server_module
from emotion_ai.pipeline.publishing.address import check_address
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.publish import publish
from emotion_ai.pipeline.publishing.server import connect

from support.http_servers import running_http_server
from support.kfp_api_server import KfpApiServer
from support.publishing import NIGHTLY, publish_to

CREATE = "POST /apis/v2beta1/recurringruns"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (" http://localhost:8888/ ", "http://localhost:8888"),
        ("HTTPS://kubeflow.example.com/pipeline//", "HTTPS://kubeflow.example.com/pipeline"),
        ("http://[::1]:8888", "http://[::1]:8888"),
        ("http://münchen.example", "http://münchen.example"),
    ],
)
def test_addresses_that_are_taken(given: str, expected: str) -> None:
    assert check_address(given) == expected


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8888",
        "//localhost:8888",
        "ftp://localhost",
        "http://",
        "http:localhost",
        "http://[::1",
        "http://local host",
        "http://localhost:port",
        "http://localhost:0",
        "http://localhost:65536",
        "http://localhost/\u202epath",
    ],
)
def test_an_address_that_is_none_is_a_mistake(address: str) -> None:
    with pytest.raises(InputError) as failure:
        connect(address)
    assert f"address {address!r}: " in str(failure.value)
    assert str(failure.value).endswith("expected a URL such as http://localhost:8888")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "is missing (--kfp); expected a URL such as http://localhost:8888"),
        ("http://localhost:8888?", "leave out what follows"),
        ("http://localhost:8888?x=1", "leave out what follows"),
        ("http://localhost:8888#", "leave out what follows"),
        # What may be a password or a token is never shown.
        ("http://me:secret@localhost", "holds a user or a password; leave out"),
        ("http://me:secret@localhost:8888", "holds a user or a password; leave out"),
        ("http://secret@localhost", "holds a user or a password; leave out"),
        ("me:secret@localhost:8888", "holds a user or a password; leave out"),
        # urlsplit takes the password for a port, and says so.
        ("http://me:secret/more@localhost", "holds a user or a password; leave out"),
        ("http://localhost:8888/?token=secret", "leave out what follows"),
        ("http://localhost:8888/#/secret", "leave out what follows"),
        ("localhost:8888?token=secret", "leave out what follows"),
    ],
)
def test_an_address_of_too_much_or_nothing_is_a_mistake(address: str, words: str) -> None:
    with pytest.raises(InputError) as failure:
        connect(address)
    assert words in str(failure.value)
    assert "secret" not in str(failure.value)


def test_commands_that_are_printed_are_quoted(kfp: KfpApiServer) -> None:
    assert connect("http://h/$(date);x").command == "kfp --endpoint 'http://h/$(date);x'"


def test_a_token_is_sent_and_never_shown(
    kfp: KfpApiServer,
    packages: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kfp.token = "a-secret-token"  # noqa: S105
    with pytest.raises(Unavailable, match=r"gives no access \(401\): Unauthenticated; name a"):
        publish_to(kfp, packages[0])
    token = tmp_path / "token"
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    with pytest.raises(InputError, match=r"no token: .*No such file.*; name a file that can be"):
        publish_to(kfp, packages[0])
    token.write_text("a-secret-token\n")
    kfp.fail(CREATE, 500)
    with pytest.raises(Unavailable) as failure:
        publish_to(kfp, packages[0], schedule=NIGHTLY)
    assert "secret" not in str(failure.value)
    assert len(kfp.versions) == 1


@pytest.mark.parametrize("content", ["", "secret\nsecret", "secret secret", "secret\u20ac"])
def test_a_file_that_is_no_token_is_a_mistake_and_never_shown(
    content: str, kfp: KfpApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    with pytest.raises(InputError, match=r"token: expected one token") as failure:
        connect(kfp.address)
    assert "secret" not in str(failure.value)
    assert kfp.requests == []


def test_a_server_that_never_answers_is_told(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[Path, Path]
) -> None:
    monkeypatch.setattr(server_module, "_TIMEOUT_SECONDS", (0.5, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"does not answer: .*timed out"):
            list(publish(connect(address), packages[0], Order()))


def other_program(status: int, body: bytes) -> AbstractContextManager[str]:
    """Run an HTTP server that answers everything alike; yields its address."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        handler.send_response_only(status)
        handler.send_header("Location", "http://127.0.0.1:9/login")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    methods = {"do_GET": answer, "do_POST": answer, "log_message": lambda *_: None}
    return running_http_server(type("H", (BaseHTTPRequestHandler,), methods))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>a page</html>", "an answer without pipeline_id"),
        (200, b"\xff\xfe", "does not answer as Kubeflow Pipelines does"),
        (200, b"null", "does not answer as Kubeflow Pipelines does"),
        (200, b"[]", "does not answer as Kubeflow Pipelines does"),
        (302, b"", r"a redirection \(302\), such as to a login"),
        (404, b"<html>no</html>", r"404 for what is below /apis/v2beta1 \(<html>no</html>\)"),
        (404, b'{"code": 5, "message": "Not Found"}', r"404 .* expected the address of its API"),
        (404, b'{"detail": "no"}', "404 for what is below /apis/v2beta1"),
        (404, b"", "404 for what is below /apis/v2beta1"),
        (500, b"[" * 100_000, r"failed \(500\): \[\[\["),
        (200, b"[" * 100_000, "does not answer as Kubeflow Pipelines does"),
        (500, b'{"message": "\\u001b[2Jgone"}', r"failed \(500\): \?\[2Jgone"),
        (502, b'{"error": "no upstream"}', r"failed \(502\): no upstream"),
        (403, b'{"message": "no\\nright"}', r"no access \(403\): no right"),
    ],
)
def test_another_program_at_the_address_is_told(
    status: int, body: bytes, words: str, packages: tuple[Path, Path]
) -> None:
    with other_program(status, body) as address, pytest.raises(Unavailable, match=words) as failure:
        list(publish(connect(address), packages[0], Order()))
    assert "\n" not in str(failure.value)
