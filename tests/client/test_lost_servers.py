"""The client against servers that start again, hang, or are slow."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from emotion_ai.client.async_client import AsyncClient
from emotion_ai.client.channel import OPTIONS
from emotion_ai.client.client import Client
from emotion_ai.client.requests import encode_request, with_model_spec
from emotion_ai.errors import Unavailable
from emotion_ai.serving_api.messages import PREDICTION_SERVICE, PredictRequest

from support.fake_prediction_server import fake_prediction_server

FACE = np.zeros((1, 96, 96, 1), np.uint8)
GRAY = np.full((96, 96), 5, np.uint8)
TESTS = Path(__file__).parents[1]


def test_client_waits_for_a_server_that_has_answered(tmp_path: Path) -> None:
    with fake_prediction_server() as server:
        port = int(server.address.rpartition(":")[2])
        client = Client(server.address, faces="whole")
        client.predict(GRAY)
    with client, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(client.predict, GRAY), pool.submit(client.predict_arrays, FACE)]
        calls.append(pool.submit(lambda: list(client.predict_many([GRAY]))))
        # Without waiting, gRPC has given up by then.
        time.sleep(4)
        with Client(client.address) as newcomer, pytest.raises(Unavailable, match="refused"):
            newcomer.predict_arrays(FACE)
        assert not any(call.done() for call in calls)
        with fake_prediction_server(port=port) as server:
            for call in calls:
                call.result()
            assert len(server.calls) == 3


def test_async_client_waits_for_a_server_that_has_answered() -> None:
    async def predict() -> None:
        with fake_prediction_server() as server:
            port = int(server.address.rpartition(":")[2])
            client = AsyncClient(server.address, faces="whole")
            await client.predict(GRAY)
        async with client:
            call = asyncio.create_task(client.predict(GRAY))
            await asyncio.sleep(4)
            assert not call.done()
            with fake_prediction_server(port=port):
                await call

    asyncio.run(predict())


@contextlib.contextmanager
def _server_process() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    code = (
        "from support.fake_prediction_server import fake_prediction_server\n"
        "with fake_prediction_server() as server:\n"
        "    print(server.address, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TESTS)},
    ) as process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def _predict(channel: grpc.Channel, timeout: float) -> None:
    call = channel.unary_unary(
        f"/{PREDICTION_SERVICE}/Predict", PredictRequest.SerializeToString, bytes
    )
    call(with_model_spec(encode_request("serving_default", "images", FACE), None), timeout=timeout)


def test_calls_leave_a_server_that_hangs() -> None:
    """Its host accepts connections and data; only pings tell that nobody answers."""
    with _server_process() as (one, _), _server_process() as (other, process):
        options: list[tuple[str, Any]] = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"ipv4:{one},{other}", options=options) as channel:
            for _ in range(20):
                _predict(channel, 30)
            process.send_signal(signal.SIGSTOP)
            # They take turns: some of these are sent to the one that hangs. By default a call
            # would wait for its deadline.
            for _ in range(4):
                _predict(channel, 20)


@pytest.mark.slow
def test_pings_do_not_end_a_long_call() -> None:
    """A server with gRPC's own settings closes a connection that pings it too often."""

    def take_long(number: int, context: Any) -> None:
        time.sleep(20)

    with fake_prediction_server(take_long) as server, Client(server.address) as client:
        client.predict_arrays(FACE, timeout=60)
        # A call that was repeated would be here twice.
        assert len(server.calls) == 1
