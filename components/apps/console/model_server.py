"""The model server that the console asks: one that runs somewhere, or a child with the pretrained
networks.
"""

import asyncio
import ipaddress
import sys
from collections import deque
from typing import NamedTuple, Protocol, cast

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable, one_line

# A page asks every other second.
_STATE_TIMEOUT_S = 2.0
_RESTART_S = 5.0
# Of an idle server; one that loads its networks ends at once.
_STOP_S = 10.0
_LONGEST_LINE = 1 << 20


class State(NamedTuple):
    """Whether questions are answered: `status` is ready, loading or down; `words` tell more."""

    status: str
    words: str


class ModelServer(Protocol):
    """What the page needs of a model server."""

    @property
    def client(self) -> Client:
        """Who to ask; raises `Unavailable` while there is no server."""

    @property
    def stays_here(self) -> bool:
        """Whether what it is asked about stays on this machine."""

    def state(self) -> State:
        """Ask how it is; takes seconds where it is silent."""

    async def run(self) -> None:
        """Have it for as long as this task lives."""


class Named:
    """A server that somebody runs, at `address`; `faces` is as in `Client`."""

    def __init__(self, address: str, faces: str) -> None:
        self.client = Client(address, faces)

    @property
    def stays_here(self) -> bool:
        """Whether the address is this machine's own."""
        host = self.client.address.rpartition(":")[0].strip("[]")
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def state(self) -> State:
        """See `ModelServer.state`."""
        return _state_of(self.client)

    async def run(self) -> None:
        """See `ModelServer.run`; whoever started it ends it."""
        try:
            await asyncio.Event().wait()
        finally:
            # Calls under way would hold up the console's end.
            self.client.close()


class Embedded:
    """The pretrained networks in a child process, started anew if it ends by itself."""

    stays_here = True

    def __init__(self, faces: str) -> None:
        self._faces = faces
        self._client: Client | None = None
        self._waiting = State("loading", "The networks are being loaded, which takes a moment.")

    @property
    def client(self) -> Client:
        """See `ModelServer.client`."""
        if self._client is None:
            raise Unavailable(self._waiting.words)
        return self._client

    def state(self) -> State:
        """See `ModelServer.state`."""
        client = self._client
        if client is None:
            return self._waiting
        state = _state_of(client)
        if state.status == "ready":
            return State("ready", "the built-in networks")
        # The child writes its release before it serves; loading it is the last thing it does.
        return self._waiting if state.status == "empty" else state

    async def run(self) -> None:
        """See `ModelServer.run`."""
        while True:
            try:
                await self._serve_once()
            except Unavailable as failure:
                self._waiting = State("down", f"{one_line(failure)}. It is started again.")
            await asyncio.sleep(_RESTART_S)

    async def _serve_once(self) -> None:
        from emotion_ai.server.process import SERVING, TAIL_LINES

        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emotion_ai.apps.console.embedded_server"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
            # Ctrl-C is the console's, which ends it in turn.
            start_new_session=True,
        )
        output = cast(asyncio.StreamReader, process.stdout)
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        try:
            async for data in output:
                line = data.decode(errors="replace").rstrip()
                tail.append(line)
                if match := SERVING.search(line):
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
        await asyncio.wait_for(process.wait(), _STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _state_of(client: Client) -> State:
    try:
        statuses = client.version_statuses(timeout=_STATE_TIMEOUT_S)
    except Unavailable as failure:
        return State("down", one_line(failure))
    available = [status.version for status in statuses if status.state == "AVAILABLE"]
    if available:
        return State("ready", f"release {max(available)} at {client.address}")
    if any(status.state in ("START", "LOADING") for status in statuses):
        return State("loading", "The model server loads a release.")
    reasons = "; ".join(status.error for status in statuses if status.error)
    return State("empty", f"Server {client.address} has no release to answer with. {reasons}")
