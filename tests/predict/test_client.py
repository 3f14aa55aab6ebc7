"""The client where nobody answers."""

import socket
from collections.abc import Iterator

import numpy as np
import pytest

from components.errors import BadInput, Unavailable
from components.predict.client import Client

FACE = np.zeros((1, 96, 96, 1), np.uint8)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_silent_server_is_named_when_the_deadline_is_over(silent_server: str) -> None:
    with Client(silent_server) as client, pytest.raises(Unavailable, match=silent_server):
        client.predict_arrays(FACE, timeout=0.5)


def test_a_server_that_is_down_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with Client(address) as client:
        for call in (client.model_status, client.hold_nothing):
            with pytest.raises(Unavailable, match=address):
                call(timeout=5)
        with pytest.raises(Unavailable, match=address):
            client.predict_encoded([b"a picture"], timeout=5)


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:", "a b:1", "h:0", "h:65536", "http://h:1"]
)
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(BadInput, match="HOST:PORT"):
        Client(address)
