"""Which requests a client sends again, and which it does not."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest

from emotion_ai.client.async_client import AsyncClient
from emotion_ai.client.client import Client
from emotion_ai.client.requests import MAX_FACES_PER_REQUEST
from emotion_ai.errors import InputError, Unavailable

from support.fake_prediction_server import abort, fake_prediction_server

FACE = np.zeros((1, 96, 96, 1), np.uint8)
GRAY = np.full((96, 96), 5, np.uint8)


# gRPC by itself gives up retrying what is larger than 256 KiB.
@pytest.mark.parametrize("size", [1, MAX_FACES_PER_REQUEST, 400])
def test_client_retries_an_unavailable_server(size: int) -> None:
    unavailable = grpc.StatusCode.UNAVAILABLE
    with fake_prediction_server(abort(unavailable, unavailable)) as server:
        with Client(server.address, faces="whole") as client:
            answer = client.predict_arrays(np.repeat(FACE, size, 0))
        assert len(answer.outputs["emotion"]) == size
        assert [count for _, count in server.calls] == [size] * 3


def test_client_retries_what_a_server_that_stops_has_cancelled() -> None:
    async def predict(address: str) -> None:
        async with AsyncClient(address, faces="whole") as client:
            assert (await client.predict(GRAY))[0].emotion == "happy"

    cancelled = grpc.StatusCode.CANCELLED
    with fake_prediction_server(abort(cancelled, cancelled)) as server:
        asyncio.run(predict(server.address))
        assert len(server.calls) == 3
    with fake_prediction_server(abort(cancelled, cancelled)) as server:
        with Client(server.address) as client:
            client.predict_arrays(FACE)
        assert len(server.calls) == 3


def test_client_does_not_send_what_its_caller_has_cancelled_again() -> None:
    started = threading.Event()

    def wait(number: int, context: Any) -> None:
        started.set()
        time.sleep(1)

    with fake_prediction_server(wait) as server, ThreadPoolExecutor(1) as pool:
        client = Client(server.address, faces="whole")
        call = pool.submit(client.predict_arrays, FACE)
        started.wait()
        client.close()
        with pytest.raises(Unavailable):
            call.result()
        time.sleep(1)
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (grpc.StatusCode.INTERNAL, Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Unavailable),
        (grpc.StatusCode.NOT_FOUND, Unavailable),
        (grpc.StatusCode.INVALID_ARGUMENT, InputError),
    ],
)
def test_client_does_not_retry_other_errors(
    code: grpc.StatusCode, failure: type[Exception]
) -> None:
    with (
        fake_prediction_server(abort(code)) as server,
        Client(server.address, faces="whole") as client,
    ):
        with pytest.raises(failure, match=server.address):
            client.predict(GRAY)
        assert len(server.calls) == 1
