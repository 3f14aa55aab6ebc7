"""The servers that the tests of this folder share."""

import socket
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2

from emotion_ai.client.client import Client
from emotion_ai.registry.champion import write_champion
from emotion_ai.server.process import server_process

from support.any_server import AnyServer, named_server, own_server, remote_server
from support.server_calls import RunningServer, eventually, get_health
from support.server_with_flags import ConfiguredServer, run_configured_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    from support.tiny_saved_model import publish_tiny_release

    folder = tmp_path_factory.mktemp("serve")
    registry = folder / "registry"
    registry.mkdir()
    log = folder / "server.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        rest = free.getsockname()[1]
    flags = ["--registry", str(registry), "--port=0", f"--rest_api_port={rest}", "--allow_reload"]
    with server_process(flags, log) as (address, process), Client(address) as client:
        # Before the first rollout.
        assert client.model_status() == {}
        assert "waiting for the first rollout" in log.read_text()
        assert get_health(address) == health_pb2.HealthCheckResponse.NOT_SERVING
        publish_tiny_release(registry, folder, 1.0, 1.0)
        (registry / "not-a-version").mkdir()
        write_champion(str(registry), 1)
        eventually(lambda: client.model_status() == {1: "AVAILABLE"})
        with grpc.insecure_channel(address) as channel:
            yield RunningServer(
                address,
                registry,
                log,
                prediction_service_pb2_grpc.PredictionServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
                client,
                process.pid,
                f"127.0.0.1:{rest}",
            )


@pytest.fixture(scope="session")
def any_server(request: pytest.FixtureRequest) -> Iterator[AnyServer]:
    """The server of `make conformance`, else the tests' own."""
    chosen = remote_server() if named_server() else own_server(request.getfixturevalue("server"))
    with chosen as found:
        yield found


@pytest.fixture(scope="session")
def configured_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredServer]:
    with run_configured_server(tmp_path_factory.mktemp("configured")) as server:
        yield server
