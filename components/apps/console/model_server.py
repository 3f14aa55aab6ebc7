"""What answers behind the console: a model server, or the pretrained networks in this process."""

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.analyzer import Analyzer
from emotion_ai.client.client import Client
from emotion_ai.client.results import Box, Face
from emotion_ai.errors import Unavailable, one_line

# The page asks for the state every two seconds.
_STATE_TIMEOUT_S = 2.0
_MAX_MESSAGE = 1000


class ModelServerState(NamedTuple):
    """The state of a model server: ready, loading, down or empty, and a message for the page."""

    status: str
    message: str


class ModelServer(Protocol):
    """What the console needs of a model server."""

    @property
    def is_local(self) -> bool:
        """Whether faces stay on this machine."""

    def predict(
        self, pixels: NDArray[np.uint8], boxes: Sequence[Box], timeout_s: float
    ) -> list[Face]:
        """Predict the faces of a picture in these boxes; raises `Unavailable` after a timeout."""

    def state(self) -> ModelServerState:
        """Ask the server for its state; takes seconds where it does not respond."""

    def close(self) -> None:
        """End the calls under way."""


class RemoteModelServer:
    """A server that is already running.

    Args:
        address: HOST:PORT of the server.
        faces: The name of a detector, as in `Client`.
    """

    def __init__(self, address: str, faces: str) -> None:
        self._client = Client(address, faces)

    @property
    def is_local(self) -> bool:
        """Whether the address is a loopback address."""
        host = self._client.address.removeprefix("dns:///").rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def predict(
        self, pixels: NDArray[np.uint8], boxes: Sequence[Box], timeout_s: float
    ) -> list[Face]:
        """See `ModelServer.predict`."""
        return self._client.predict(pixels, boxes=boxes, timeout=timeout_s)

    def state(self) -> ModelServerState:
        """See `ModelServer.state`."""
        return _read_state(self._client)

    def close(self) -> None:
        """See `ModelServer.close`; they would delay the console's exit."""
        self._client.close()


class OwnNetworks:
    """The pretrained networks, in this process.

    Args:
        faces: The name of a detector, as in `Client`.
    """

    is_local = True

    def __init__(self, faces: str) -> None:
        self._analyzer = Analyzer(faces)

    def predict(
        self, pixels: NDArray[np.uint8], boxes: Sequence[Box], timeout_s: float
    ) -> list[Face]:
        """See `ModelServer.predict`; nothing is waited for."""
        return self._analyzer.predict(pixels, boxes=boxes)

    def state(self) -> ModelServerState:
        """See `ModelServer.state`."""
        return ModelServerState("ready", "the built-in networks")

    def close(self) -> None:
        """See `ModelServer.close`."""


def _read_state(client: Client) -> ModelServerState:
    try:
        statuses = client.version_statuses(timeout=_STATE_TIMEOUT_S)
    except Unavailable as failure:
        return ModelServerState("down", _shorten(one_line(failure)))
    available = [status.version for status in statuses if status.state == "AVAILABLE"]
    if available:
        return ModelServerState("ready", f"release {max(available)} at {client.address}")
    if any(status.state in ("START", "LOADING") for status in statuses):
        return ModelServerState("loading", "The model server is loading a release.")
    reasons = "; ".join(status.error for status in statuses if status.error)
    message = f"Server {client.address} serves no release. {reasons}"
    return ModelServerState("empty", _shorten(one_line(message)))


def _shorten(message: str) -> str:
    # Others' words are in it.
    return message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}..."
