"""The model server behind the console: a remote one, or a child with the pretrained networks."""

import asyncio
import ipaddress
import sys
from collections import deque
from typing import NamedTuple, Protocol, cast

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable, describe_failure, one_line

# The page asks for the state every two seconds.
_STATE_TIMEOUT_S = 2.0
_RESTART_S = 5.0
# For an idle server; one that is loading its networks stops at once.
_STOP_TIMEOUT_S = 10.0
_MAX_LINE_BYTES = 1 << 20
_MAX_MESSAGE = 1000


class ModelServerState(NamedTuple):
    """The state of a model server: ready, loading, down or empty, and a message for the page."""

    status: str
    message: str


class ModelServer(Protocol):
    """What the console needs of a model server."""

    @property
    def client(self) -> Client:
        """The client to predict with; raises `Unavailable` while there is no server."""

    @property
    def is_local(self) -> bool:
        """Whether faces stay on this machine."""

    def state(self) -> ModelServerState:
        """Ask the server for its state; takes seconds where it does not respond."""

    async def run(self) -> None:
        """Keep the server until this task is cancelled."""


class RemoteModelServer:
    """A server that is already running.

    Args:
        address: HOST:PORT of the server.
        faces: The name of a detector, as in `Client`.
    """

    def __init__(self, address: str, faces: str) -> None:
        self.client = Client(address, faces)

    @property
    def is_local(self) -> bool:
        """Whether the address is a loopback address."""
        host = self.client.address.removeprefix("dns:///").rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def state(self) -> ModelServerState:
        """See `ModelServer.state`."""
        return _read_state(self.client)

    async def run(self) -> None:
        """Wait until this task is cancelled, and close the client."""
        try:
            await asyncio.Event().wait()
        finally:
            # Calls in flight would delay the console's exit.
            self.client.close()


class EmbeddedModelServer:
    """The pretrained networks in a child process, which is restarted if it exits.

    Args:
        faces: The name of a detector, as in `Client`.
    """

    is_local = True

    def __init__(self, faces: str) -> None:
        self._faces = faces
        self._client: Client | None = None
        self._state_without_client = ModelServerState(
            "loading", "The networks are being loaded, which takes a moment."
        )

    @property
    def client(self) -> Client:
        """See `ModelServer.client`."""
        if self._client is None:
            raise Unavailable(self._state_without_client.message)
        return self._client

    def state(self) -> ModelServerState:
        """See `ModelServer.state`."""
        client = self._client
        if client is None:
            return self._state_without_client
        state = _read_state(client)
        if state.status == "ready":
            return ModelServerState("ready", "the built-in networks")
        # The child writes its release before it serves, so an empty server is still loading.
        return self._state_without_client if state.status == "empty" else state

    async def run(self) -> None:
        """See `ModelServer.run`."""
        while True:
            try:
                await self._serve_once()
            except Exception as failure:
                # Whatever it is, such as no memory for a process: the console goes on.
                message = f"{_shorten(describe_failure(failure))}. It will be started again."
                self._state_without_client = ModelServerState("down", message)
            await asyncio.sleep(_RESTART_S)

    async def _serve_once(self) -> None:
        from emotion_ai.server.process import SERVING_LINE, TAIL_LINES

        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emotion_ai.apps.console.embedded_server"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_MAX_LINE_BYTES,
            # Ctrl-C reaches the console only, which stops the child in turn.
            start_new_session=True,
        )
        output = cast(asyncio.StreamReader, process.stdout)
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            async for data in output:
                line = data.decode(errors="replace").rstrip()
                tail.append(line)
                if match := SERVING_LINE.search(line):
                    self._client = Client(match[1], self._faces)
            code = await process.wait()
            raise Unavailable(f"The model server ended with code {code}: {' / '.join(tail)}")
        finally:
            if self._client is not None:
                self._client.close()
                self._client = None
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


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
