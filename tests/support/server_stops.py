"""Model servers that are stopped while 16 callers ask, and what becomes of each call.

A call was accepted unless its caller knows that no server has read it: there was no connection, or
the server's GOAWAY left it out. An accepted call that is not answered is lost.
"""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import grpc
import numpy as np

from emotion_ai.client import base_client
from emotion_ai.client.client import Client
from emotion_ai.client.requests import encode_request, with_model_spec
from emotion_ai.errors import EmotionAIError
from emotion_ai.server.process import server_process
from emotion_ai.serving_api.messages import MODEL_NAME, PREDICTION_SERVICE, PredictResponse

from support.server_calls import eventually

CALLERS = 16
# With 50 stops, 10,000.
CALLS_BEFORE_A_STOP = 200
# Half of the callers wait up to this long before a call, so that some call arrives at any moment.
_LONGEST_PAUSE_S = 0.01
_FACE = np.zeros((1, 96, 96, 1), np.uint8)
_OPTIONS = [
    ("grpc.enable_retries", 0),
    # A connection of one's own.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]
# How gRPC's client says that no server has read a call.
_NOT_READ = ("failed to connect to all addresses", "GOAWAY received")
# Asks for a face; returns the version that answered.
Ask = Callable[[], int]


class Call(NamedTuple):
    """When a call was sent, the version that answered it, and the error if none did."""

    sent: float
    version: int
    error: str = ""

    def is_lost(self) -> bool:
        """Return whether a server has taken the call and not answered it."""
        return bool(self.error) and not any(reason in self.error for reason in _NOT_READ)


class Stop(NamedTuple):
    """The calls before the signal and after it, and the seconds until the process had ended."""

    before: list[Call]
    after: list[Call]
    seconds: float


class Callers:
    """Threads that ask again and again, each until its first error."""

    def __init__(self, asks: list[Ask]) -> None:
        self.calls: list[Call] = []
        self._ended = threading.Event()
        pauses = (0.0, _LONGEST_PAUSE_S)
        self._threads = [
            threading.Thread(target=self._call, args=(ask, pauses[number % 2]))
            for number, ask in enumerate(asks)
        ]

    def _call(self, ask: Ask, longest_pause: float) -> None:
        moments = random.Random()
        call = Call(0.0, 0)
        while not self._ended.wait(moments.uniform(0.0, longest_pause)) and not call.error:
            sent = time.monotonic()
            try:
                call = Call(sent, ask())
            except grpc.RpcError as error:
                call = Call(sent, 0, f"{error.code().name}: {error.details()}")
            except EmotionAIError as error:
                call = Call(sent, 0, str(error))
            self.calls.append(call)

    def wait_for_answers(self, version: int, count: int) -> None:
        """Wait until a version has given a number of further answers."""

        def answers() -> int:
            return sum(call.version == version for call in self.calls)

        wanted = answers() + count
        eventually(lambda: answers() >= wanted)

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def _plain_callers(address: str) -> Iterator[Callers]:
    """Callers that send every call once."""
    request = with_model_spec(encode_request("serving_default", "images", _FACE), None)
    data = request.SerializeToString()

    def open_ask() -> Ask:
        channel = stack.enter_context(grpc.insecure_channel(address, options=_OPTIONS))
        predict = channel.unary_unary(
            f"/{PREDICTION_SERVICE}/Predict", response_deserializer=PredictResponse.FromString
        )
        return lambda: int(predict(data, timeout=60).model_spec.version.value)

    with contextlib.ExitStack() as stack, Callers([open_ask() for _ in range(CALLERS)]) as callers:
        yield callers


@contextlib.contextmanager
def _clients(addresses: list[str]) -> Iterator[Callers]:
    """Callers with the package's client, as for a name that has these addresses."""

    def open_ask() -> Ask:
        client = stack.enter_context(Client(f"ipv4:{','.join(addresses)}"))
        return lambda: client.predict_arrays(_FACE, timeout=60).version

    with contextlib.ExitStack() as stack:
        # The client takes no list of addresses.
        with mock.patch.object(base_client, "check_address", str):
            asks = [open_ask() for _ in range(CALLERS)]
        with Callers(asks) as callers:
            yield callers


def _flags(models: Path, port: int) -> list[str]:
    return [f"--port={port}", f"--model_name={MODEL_NAME}", f"--model_base_path={models}"]


def stop_alone(models: Path, log: Path) -> Stop:
    """Stop a server whose callers send every call once.

    Args:
        models: A folder with version 1.
        log: A file for the server's log.
    """
    with (
        server_process(_flags(models, 0), log) as (address, process),
        _plain_callers(address) as callers,
    ):
        callers.wait_for_answers(1, CALLS_BEFORE_A_STOP)
        signalled = time.monotonic()
        process.terminate()
        process.wait(60)
        seconds = time.monotonic() - signalled
    before = [call for call in callers.calls if call.sent < signalled]
    after = [call for call in callers.calls if call.sent >= signalled]
    return Stop(before, after, seconds)


def stop_in_turns(models: list[Path], scratch: Path, stops: int) -> list[Call]:
    """Stop one of two servers after the other, and start it again; callers use the client.

    Args:
        models: A folder with version 1, and one with version 2.
        scratch: A folder for the servers' logs.
        stops: How often.

    Returns:
        Every call.
    """
    ports = [_free_port(), _free_port()]
    addresses = [f"127.0.0.1:{port}" for port in ports]

    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        servers = [one, other]

        def start(turn: int) -> None:
            flags = _flags(models[turn], ports[turn])
            servers[turn].enter_context(server_process(flags, scratch / f"{turn}.log"))

        start(0)
        start(1)
        with _clients(addresses) as callers:
            for number in range(stops):
                turn = number % 2
                callers.wait_for_answers(turn + 1, CALLS_BEFORE_A_STOP)
                servers[turn].close()
                callers.wait_for_answers(2 - turn, CALLS_BEFORE_A_STOP)
                if number + 1 < stops:
                    start(turn)
    return callers.calls


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
