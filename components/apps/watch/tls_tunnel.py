"""Connect FFmpeg with an rtsps address over loopback: it checks no certificate's name itself."""

import asyncio
import contextlib
import ssl
import threading
from urllib.parse import SplitResult, urlunsplit

from emotion_ai.apps.watch.redaction import redact
from emotion_ai.errors import Unavailable

# To connect.
_TIMEOUT_S = 10.0
_PORT = 322
_CHUNK_BYTES = 64 * 1024

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TlsTunnel:
    """A port on loopback that is connected with one address, whose certificate is trusted.

    Args:
        address: The address, with the user name and the password if it needs them.

    Attributes:
        url: Where FFmpeg finds it, as rtsp.

    Raises:
        Unavailable: Nothing answers there, or not with a certificate that is trusted.
    """

    def __init__(self, address: SplitResult) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(_start(address), self._loop).result()
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            reason = getattr(error, "strerror", None) or f"{error}" or "no answer in time"
            name = redact(urlunsplit(address))
            raise Unavailable(f"{name}: no video answers there: {reason}") from None
        user, at, _ = address.netloc.rpartition("@")
        netloc = f"{user}{at}127.0.0.1:{port}"
        self.url = urlunsplit(address._replace(scheme="rtsp", netloc=netloc, fragment=""))

    def close(self) -> None:
        """End both connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()


async def _start(address: SplitResult) -> int:
    """Connect with the address, and return the port where FFmpeg is awaited."""
    context = ssl.create_default_context()
    connecting = asyncio.open_connection(address.hostname, address.port or _PORT, ssl=context)
    camera = await asyncio.wait_for(connecting, _TIMEOUT_S)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # FFmpeg connects once.
        server.close()
        await _exchange(camera, (reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


async def _exchange(first: _Connection, second: _Connection) -> None:
    """Send what comes from one to the other, until one of them ends."""
    copies = [asyncio.create_task(_copy(first[0], second[1]))]
    copies.append(asyncio.create_task(_copy(second[0], first[1])))
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.gather(*copies, return_exceptions=True)
        first[1].close()
        second[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
