"""Credentials for a cluster: what is wrong with them is one sentence, at once."""

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emotion_ai.errors import InputError, one_line
from emotion_ai.rollouts.cluster.api import connect

from support.certificates import Certificates, make_certificates


class _Api(http.server.BaseHTTPRequestHandler):
    """Knows one token; without any the caller is anonymous, as on a real API server."""

    requests: list[str] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        token = self.headers.get("Authorization", "")
        anonymous = 'leases "x" is forbidden: User "system:anonymous" cannot get resource "leases"'
        messages = {"Bearer valid": (200, ""), "": (403, anonymous)}
        status, message = messages.get(token, (401, "Unauthorized"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"message": message}).encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return make_certificates()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[str]:
    """An API server with TLS."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "tls.crt").write_text(certificates.server.certificate)
    (folder / "tls.key").write_text(certificates.server.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the kubeconfig; there is none yet."""
    path = tmp_path / "kubeconfig"
    # The library reads the variable when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    return path


def _kubeconfig(address: str, authority: str, user: dict[str, Any]) -> str:
    data = base64.b64encode(authority.encode()).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": address, "certificate-authority-data": data},
                }
            ],
            "users": [{"name": "test", "user": user}],
        }
    )


def test_a_token_of_the_kubeconfig_is_sent(
    kubeconfig: Path, address: str, certificates: Certificates
) -> None:
    kubeconfig.write_text(_kubeconfig(address, certificates.authority, {"token": "valid"}))
    cluster = connect("emotion-ai")
    assert cluster.get("leases", "x") == {"message": ""}
    assert not cluster.is_inside
    assert cluster.address == address


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No configuration found"),
        (b"", "is empty"),
        (b"\0binary", "special characters"),
        (b"a: [1", "expected ',' or ']'"),
        (b"just text", "cannot be used"),
        (b"- a list", "cannot be used"),
        (b"apiVersion: v1\nkind: Config\n", "current-context"),
        (b"current-context: mine\ncontexts: []\nclusters: []\nusers: []\n", "mine"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_one_sentence(
    kubeconfig: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        kubeconfig.write_bytes(content)
    with pytest.raises(InputError, match="set KUBECONFIG, or use the rollout target local") as info:
        connect("emotion-ai")
    assert words in str(info.value)
    assert str(info.value) == one_line(info.value)


@pytest.mark.parametrize("user", [{}, {"token": "expired"}])
def test_credentials_that_are_not_accepted_are_not_tried_again(
    kubeconfig: Path, address: str, certificates: Certificates, user: dict[str, Any]
) -> None:
    kubeconfig.write_text(_kubeconfig(address, certificates.authority, user))
    _Api.requests.clear()
    with pytest.raises(InputError, match=f"{address}: the credentials are not accepted; log in"):
        connect("emotion-ai").get("leases", "x")
    assert len(_Api.requests) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no account is logged in >&2; exit 3", "no account is logged in"),
        ("echo 'no JSON'", "failed to decode process output"),
    ],
    ids=["fails", "nonsense"],
)
def test_a_plug_in_of_the_kubeconfig_that_fails_is_one_sentence(
    kubeconfig: Path, address: str, capfd: pytest.CaptureFixture[str], script: str, words: str
) -> None:
    plug_in = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "sh",
        "args": ["-c", script],
    }
    kubeconfig.write_text(_kubeconfig(address, "", {"exec": plug_in}))
    with pytest.raises(InputError, match=f"the kubeconfig cannot be used: .*{words}"):
        connect("emotion-ai")
    assert capfd.readouterr().err == ""


def test_the_certificate_of_another_cluster_is_not_tried_again(
    kubeconfig: Path, address: str
) -> None:
    other = make_certificates().authority
    kubeconfig.write_text(_kubeconfig(address, other, {"token": "valid"}))
    with pytest.raises(InputError, match=f"{address}: its certificate is not trusted"):
        connect("emotion-ai").get("leases", "x")


def test_a_damaged_authority_is_one_sentence(kubeconfig: Path, address: str) -> None:
    kubeconfig.write_text(_kubeconfig(address, "no certificate", {"token": "valid"}))
    with pytest.raises(InputError, match=f"{address}: its certificate is not trusted"):
        connect("emotion-ai").get("leases", "x")


def test_what_is_being_waited_for_is_said(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from emotion_ai.errors import Unavailable
    from emotion_ai.rollouts.cluster import api

    kubeconfig.write_text(_kubeconfig("https://127.0.0.1:9", "", {"token": "valid"}))
    monkeypatch.setattr(api, "OUTAGE_SECONDS", 1.0)
    monkeypatch.setattr(api, "_MESSAGE_AFTER_SECONDS", 0.0)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9: no answer to GET .*refused"):
        connect("emotion-ai").get("leases", "x")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("waiting for cluster https://127.0.0.1:9: ")
    assert "gives up after 1 s" in line
