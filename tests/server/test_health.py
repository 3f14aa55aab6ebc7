"""The health service: its watches starve nobody, and it recovers after a bad configuration."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from emotion_ai.client.client import Client
from emotion_ai.registry.champion import write_champion
from emotion_ai.server import health as health_module
from emotion_ai.server.health import SERVICES, Health
from emotion_ai.server.process import server_process
from emotion_ai.server.rpc import Arrivals

from support.server_calls import RunningServer, eventually, get_health, reload_request

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WATCHES = 500


def _watch(stub: Any, service: str = "") -> Any:
    return stub.Watch(health_pb2.HealthCheckRequest(service=service))


def test_watches_neither_starve_the_server_nor_delay_its_end(tmp_path: Path) -> None:
    from support.tiny_saved_model import gray_faces, publish_tiny_release

    registry = tmp_path / "registry"
    registry.mkdir()
    publish_tiny_release(registry, tmp_path, 1.0, 1.0)
    write_champion(str(registry), 1)
    flags = ["--registry", str(registry), "--port=0", "--grpc_max_threads=4"]
    with (
        server_process(flags, tmp_path / "log") as (address, process),
        grpc.insecure_channel(address) as channel,
        Client(address) as client,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [_watch(stub) for _ in range(WATCHES)]
        assert {next(watch).status for watch in watches} == {SERVING}
        assert client.model_status() == {1: "AVAILABLE"}
        assert client.predict_arrays(gray_faces(2)).version == 1
        for watch in watches[: WATCHES // 2]:
            watch.cancel()
        assert get_health(address) == SERVING
        process.terminate()
        # Each watch that is left hears of it, and ends.
        for watch in watches[WATCHES // 2 :]:
            assert [response.status for response in watch] == [NOT_SERVING]
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("service", SERVICES)
def test_health_has_the_names_of_both_servers(server: RunningServer, service: str) -> None:
    assert get_health(server.address, service) == SERVING


def test_health_recovers_when_a_bad_model_leaves_the_configuration(server: RunningServer) -> None:
    request = reload_request(server.registry, name="absent")
    request.config.model_config_list.config[0].model_version_policy.specific.versions.append(99)
    with grpc.insecure_channel(server.address) as channel:
        watch = _watch(health_pb2_grpc.HealthStub(channel))
        assert next(watch).status == SERVING
        with pytest.raises(grpc.RpcError, match="99"):
            server.models.HandleReloadConfigRequest(request, timeout=60)
        assert [next(watch).status, next(watch).status] == [NOT_SERVING, SERVING]
        watch.cancel()
    eventually(lambda: server.client.model_status()[1] == "AVAILABLE")
    assert get_health(server.address) == SERVING


@contextlib.asynccontextmanager
async def _health_stub() -> AsyncIterator[tuple[Health, Any]]:
    server, health = grpc.aio.server(), Health()
    server.add_generic_rpc_handlers((health.handler(Arrivals(1 << 20)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health, health_pb2_grpc.HealthStub(channel)
    await server.stop(None)


def test_watches_are_limited_and_leave_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "MAX_WATCHES", 2)

    async def watch_three() -> None:
        async with _health_stub() as (_, stub):
            first, second = _watch(stub), _watch(stub)
            assert (await first.read()).status == (await second.read()).status == NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await _watch(stub).read()
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            first.cancel()
            third = grpc.aio.EOF
            while third is grpc.aio.EOF:
                # The server hears a moment later that the first has gone.
                with contextlib.suppress(grpc.aio.AioRpcError):
                    third = await _watch(stub).read()
            assert third.status == NOT_SERVING

    asyncio.run(asyncio.wait_for(watch_three(), 60))


def test_watch_and_check_of_an_unknown_service() -> None:
    async def ask() -> None:
        async with _health_stub() as (health, stub):
            watch = _watch(stub, "unknown")
            assert (await watch.read()).status == UNKNOWN
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.Check(health_pb2.HealthCheckRequest(service="unknown"))
            assert raised.value.code() == grpc.StatusCode.NOT_FOUND
            health.drain()
            assert await watch.read() is grpc.aio.EOF

    asyncio.run(asyncio.wait_for(ask(), 60))


def test_draining_is_final() -> None:
    async def drain() -> None:
        async with _health_stub() as (health, stub):
            watch = _watch(stub)
            assert (await watch.read()).status == NOT_SERVING
            health.set_serving(True, math.inf)
            assert (await watch.read()).status == SERVING
            health.drain()
            assert (await watch.read()).status == NOT_SERVING
            health.set_serving(True, math.inf)
            request = health_pb2.HealthCheckRequest()
            assert (await stub.Check(request)).status == NOT_SERVING

    asyncio.run(asyncio.wait_for(drain(), 60))


def test_health_tells_when_nothing_has_been_looked_at_for_long() -> None:
    async def expire() -> None:
        async with _health_stub() as (health, stub):
            watch = _watch(stub)
            assert (await watch.read()).status == NOT_SERVING
            health.set_serving(True, 0.1)
            assert [(await watch.read()).status for _ in range(2)] == [SERVING, NOT_SERVING]
            # The next look makes it serve again.
            health.set_serving(True, math.inf)
            assert (await watch.read()).status == SERVING

    asyncio.run(asyncio.wait_for(expire(), 60))
