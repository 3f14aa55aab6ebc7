"""Addresses that cannot be listened on, and a missing package, are told before all else."""

import socket
import sys
from pathlib import Path

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.grpc_server import check_socket_path
from emotion_ai.server.server import serve


@pytest.mark.parametrize("port", ["port", "rest_api_port"])
def test_port_in_use_is_found_before_anything_is_exported(
    monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setattr("emotion_ai.server.pretrained.pretrained_registry", pytest.fail)
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        flags = ServerFlags(**{"pretrained": True, "port": 0, port: number})
        with pytest.raises(Unavailable, match=f"127.0.0.1:{number}: cannot be listened on"):
            serve(flags)


@pytest.mark.parametrize("name", ["missing/socket", "file", "long" * 50, "file/socket"])
def test_socket_path_that_cannot_be_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    path = tmp_path / name
    with pytest.raises(Unavailable) as refusal:
        check_socket_path(str(path))
    assert str(refusal.value).startswith(f"--grpc_socket_path {path}: cannot be listened on: ")
    assert (tmp_path / "file").read_text() == "mine"


def test_socket_path_that_can_be_is_left_free(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    check_socket_path(str(path))
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        check_socket_path(str(path))
        assert path.is_socket()


def test_serve_names_the_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(InputError, match=r"package tensorflow, .*emotion-ai\[serve\]"):
        serve(ServerFlags(registry=str(tmp_path), port=0))
