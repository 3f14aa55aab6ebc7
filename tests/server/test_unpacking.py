"""Messages that callers have compressed are unpacked on a thread, and no further than the limit."""

import asyncio
import contextlib
import gzip
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from emotion_ai.server import rpc
from emotion_ai.server.rpc import Arrivals
from emotion_ai.server.unpacking import is_packed, unpack
from emotion_ai.serving_api.messages import PredictRequest

_LIMIT = 100_000


@contextlib.asynccontextmanager
async def _echo() -> AsyncIterator[Any]:
    """Yields a call that sends a message to a server with the limit, which sends it back."""

    async def send_back(data: bytes, context: Any) -> bytes:
        return data

    server = grpc.aio.server(options=[("grpc.per_message_decompression", 0)])
    method = Arrivals(_LIMIT).handler(send_back)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary("/a.B/C")
    await server.stop(None)


def _send(message: bytes, compression: grpc.Compression) -> bytes:
    async def send() -> bytes:
        async with _echo() as call:
            return bytes(await call(message, timeout=60, compression=compression))

    return asyncio.run(send())


@pytest.mark.parametrize("compression", grpc.Compression)
@pytest.mark.parametrize("message", [b"", b"\x0a\x02ab", bytes(_LIMIT)])
def test_message_arrives_however_it_is_sent(message: bytes, compression: grpc.Compression) -> None:
    assert _send(message, compression) == message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_larger_message_is_refused(compression: grpc.Compression) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _send(bytes(_LIMIT + 1), compression)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in raised.value.details()


@pytest.mark.parametrize(
    "message",
    [
        # The time in a gzip's header would differ between the processes that collect tests.
        pytest.param(gzip.compress(b"face", mtime=0)[:-9], id="cut"),
        pytest.param(b"\x1f\x8bface", id="no gzip"),
        pytest.param(zlib.compress(b"face")[:-3], id="cut deflate"),
    ],
)
def test_damaged_message_is_internal(message: bytes) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _send(message, grpc.Compression.NoCompression)
    assert raised.value.code() == grpc.StatusCode.INTERNAL
    assert "cannot be unpacked" in raised.value.details()


def test_event_loop_does_not_unpack(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def unpack_here(data: bytes, max_bytes: int) -> bytes:
        threads.append(threading.current_thread())
        return unpack(data, max_bytes)

    monkeypatch.setattr(rpc, "unpack", unpack_here)
    _send(bytes(_LIMIT), grpc.Compression.Gzip)
    assert [thread is threading.main_thread() for thread in threads] == [False]


def test_no_limit() -> None:
    assert unpack(gzip.compress(bytes(_LIMIT)), -1) == bytes(_LIMIT)


def test_requests_do_not_look_packed() -> None:
    request = PredictRequest()
    request.model_spec.name = "emotion_ai"
    assert not is_packed(request.SerializeToString())
    request = PredictRequest(output_filter=["emotion"])
    assert not is_packed(request.SerializeToString())
