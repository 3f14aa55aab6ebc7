"""The server that the tests of its behaviour ask: the tests' own, or a running one.

`make conformance` names a running one in the environment: CONFORMANCE_SERVER is its HOST:PORT,
CONFORMANCE_REST that of its REST API, CONFORMANCE_TLS_CA, _CERTIFICATE, _KEY and _NAME are as in
`Tls`.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from emotion_ai.client.channel import Tls, open_channel
from emotion_ai.client.client import Client
from emotion_ai.errors import EmotionAIError

from support.server_calls import RunningServer

# No release has this number.
MISSING = 999_999_999


class AnyServer(NamedTuple):
    """A server that serves a release of emotion_ai; `predict` and `models` are stubs."""

    address: str
    tls: Tls | None
    rest: str
    version: int
    is_remote: bool
    channel: Any
    predict: Any
    models: Any
    client: Client


def named_server() -> str:
    """HOST:PORT of the running server to ask, or ""."""
    return os.environ.get("CONFORMANCE_SERVER", "")


def own_server(server: RunningServer) -> contextlib.AbstractContextManager[AnyServer]:
    """The tests' own server."""
    return _connect(server.address, None, "", is_remote=False)


def remote_server() -> contextlib.AbstractContextManager[AnyServer]:
    """The running server that the environment names."""
    rest = os.environ.get("CONFORMANCE_REST", "")
    return _connect(named_server(), _tls(), rest, is_remote=True)


def _tls() -> Tls | None:
    names = ("CA", "CERTIFICATE", "KEY")
    files = [os.environ.get(f"CONFORMANCE_TLS_{name}", "") for name in names]
    if not any(files):
        return None
    paths = [Path(file) if file else None for file in files]
    return Tls(*paths, name=os.environ.get("CONFORMANCE_TLS_NAME") or None)


@contextlib.contextmanager
def _connect(address: str, tls: Tls | None, rest: str, *, is_remote: bool) -> Iterator[AnyServer]:
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    with (
        Client(address, faces="whole", tls=tls) as client,
        open_channel(grpc, address, tls) as channel,
    ):
        try:
            states = client.model_status()
        except EmotionAIError as error:
            # Once, and not for each test.
            pytest.exit(str(error), returncode=2)
        available = [version for version, state in states.items() if state == "AVAILABLE"]
        if not available:
            pytest.exit(f"{address} serves no release of emotion_ai: {states}", returncode=2)
        yield AnyServer(
            address,
            tls,
            rest,
            max(available),
            is_remote,
            channel,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
            client,
        )
