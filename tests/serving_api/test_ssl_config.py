"""PEM files become an SSLConfig: its text, its file, and a server and client that use it."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from emotion_ai.client.channel import Tls
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.parameter_files import read_parameters
from emotion_ai.server.process import server_process
from emotion_ai.serving_api.ssl_config import render_ssl_config, write_ssl_config

from support.certificates import Certificates, make_certificates


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return make_certificates()


@pytest.fixture
def files(tmp_path: Path, certificates: Certificates) -> Path:
    """A folder as a Secret of cert-manager, with a client's files beside."""
    texts = {
        "tls.crt": certificates.server.certificate,
        "tls.key": certificates.server.key,
        "ca.crt": certificates.authority,
        "client.crt": certificates.client.certificate,
        "client.key": certificates.client.key,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def _command(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotion_ai.serving_api.ssl_config"]
    command += ["--certificate", "tls.crt", "--key", "tls.key", "--into", "made/ssl.config", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_the_text_has_the_files_contents(files: Path, certificates: Certificates) -> None:
    path = files / "ssl.config"
    path.write_text(render_ssl_config(files / "tls.crt", files / "tls.key", files / "ca.crt"))
    config = read_parameters("SSLConfig", str(path))
    assert config.server_cert == certificates.server.certificate
    assert config.server_key == certificates.server.key
    assert config.custom_ca == certificates.authority
    assert config.client_verify is True
    path.write_text(render_ssl_config(files / "tls.crt", files / "tls.key"))
    config = read_parameters("SSLConfig", str(path))
    assert (config.custom_ca, config.client_verify) == ("", False)


def test_server_and_client_use_it(files: Path) -> None:
    made = _command(files, "--authority", "ca.crt")
    assert (made.returncode, made.stdout) == (
        0,
        "made/ssl.config: TLS for clients with a certificate\n",
    )
    flags = ["--registry", str(files), "--port=0", f"--ssl_config_file={files}/made/ssl.config"]
    tls = Tls(files / "ca.crt", files / "client.crt", files / "client.key")
    with server_process(flags, files / "log") as (address, _):
        with Client(address, tls=tls) as client:
            assert client.model_status() == {}
        for stranger in (None, Tls(files / "ca.crt")):
            with Client(address, tls=stranger) as client, pytest.raises(Unavailable, match=address):
                client.model_status()


def test_the_file_is_its_owners_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "tls" / "ssl.config"
    write_ssl_config(path, "first")
    write_ssl_config(path, "second")
    assert path.read_text() == "second"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=str(tmp_path)):
        write_ssl_config(tmp_path / "file" / "ssl.config", "text")


def _encrypt(path: Path) -> None:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


INVALID = {
    "no certificate": (lambda d: (d / "tls.crt").unlink(), "tls.crt", "no such file"),
    "a key as certificate": (
        lambda d: (d / "tls.crt").write_bytes((d / "tls.key").read_bytes()),
        "tls.crt",
        "expected a CERTIFICATE",
    ),
    "a certificate as key": (
        lambda d: (d / "tls.key").write_bytes((d / "tls.crt").read_bytes()),
        "tls.key",
        "expected a PRIVATE KEY",
    ),
    "no text": (lambda d: (d / "ca.crt").write_bytes(b"\xff\x00"), "ca.crt", "in PEM"),
    "too long": (
        lambda d: (d / "ca.crt").write_bytes((d / "ca.crt").read_bytes() * 20_000),
        "ca.crt",
        "1 MiB",
    ),
    "a damaged authority": (
        lambda d: (d / "ca.crt").write_text(
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        ),
        "ca.crt",
        "no certificate can be read",
    ),
    "another's key": (
        lambda d: (d / "tls.key").write_bytes((d / "client.key").read_bytes()),
        "tls.key",
        "cannot be used together",
    ),
    "an encrypted key": (lambda d: _encrypt(d / "tls.key"), "tls.key", "not encrypted"),
}


@pytest.mark.parametrize("damage", INVALID)
def test_invalid_files_are_named_and_nothing_is_written(files: Path, damage: str) -> None:
    change, name, reason = INVALID[damage]
    change(files)
    secrets = [line for line in (files / "client.key").read_text().splitlines() if line[0] != "-"]
    result = _command(files, "--authority", "ca.crt")
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert name in line
    assert reason in line
    assert not any(secret in result.stderr for secret in secrets)
    assert not (files / "made").exists()
