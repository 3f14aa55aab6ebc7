"""Pass one rtsp or rtsps address on to FFmpeg, over loopback.

FFmpeg itself neither checks a certificate's name nor refuses a redirect.
"""

import asyncio
import contextlib
import re
import ssl
import threading
from urllib.parse import SplitResult, urlunsplit

from emotion_ai.apps.watch.redaction import redact
from emotion_ai.errors import EmotionAIError, InputError, Unavailable

# To connect.
TIMEOUT_S = 10.0
_PORTS = {"rtsp": 554, "rtsps": 322}
_CHUNK_BYTES = 64 * 1024
_MAX_LINES = 200
_STATUS = re.compile(rb"RTSP/1\.\d ([12456]\d\d)\b[^\r]*\r?\n")
_REQUEST = re.compile(rb"[A-Z_]+ [^ \r\n]+ RTSP/1\.\d\r?\n")
_REDIRECT = re.compile(rb"RTSP/\S*\s+3\d\d")
_LOCATION = re.compile(rb"(?i)location:\s*(\S+)")
_LENGTH = re.compile(rb"(?i)content-length:[ \t]*(\d{1,6})[ \t]*\r?\n")


class RtspGateway:
    """A port on loopback that is connected with one address.

    Args:
        address: The address, with the user name and the password if it needs them.

    Attributes:
        url: Where FFmpeg finds it.
        has_length: False; what it sends is a stream.
        failure: Why the connection was ended, if it was.

    Raises:
        Unavailable: Nothing answers there, or not with a certificate that is trusted.
    """

    has_length = False

    def __init__(self, address: SplitResult) -> None:
        self.failure: EmotionAIError | None = None
        self._name = redact(urlunsplit(address))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        try:
            port = asyncio.run_coroutine_threadsafe(self._start(address), self._loop).result()
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            reason = f"{error}" or "no answer in time"
            raise Unavailable(f"{self._name}: no video answers there: {reason}") from None
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

    async def _start(self, address: SplitResult) -> int:
        context = ssl.create_default_context() if address.scheme == "rtsps" else None
        port = address.port or _PORTS[address.scheme]
        connecting = asyncio.open_connection(address.hostname, port, ssl=context)
        camera = await asyncio.wait_for(connecting, TIMEOUT_S)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # FFmpeg connects once.
            server.close()
            await self._connect(camera, (reader, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    async def _connect(
        self,
        camera: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        ffmpeg: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        requests = asyncio.create_task(_copy(ffmpeg[0], camera[1]))
        replies = asyncio.create_task(self._forward_replies(camera[0], ffmpeg[1]))
        try:
            await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (requests, replies, camera[1], ffmpeg[1]):
                end.cancel() if isinstance(end, asyncio.Task) else end.close()
            await asyncio.gather(requests, replies, return_exceptions=True)

    async def _forward_replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                first = await reader.readexactly(1)
                # Data between the replies; see RFC 2326, section 10.12.
                is_data = first == b"$"
                writer.write(first + await (_read_data if is_data else _read_reply)(reader, first))
                await writer.drain()
        except _Redirect as redirect:
            self.failure = InputError(
                f"{self._name}: redirects to {redact(f'{redirect}')}; redirects are not followed: "
                "watch that address itself if you trust it"
            )
        except _Invalid:
            self.failure = Unavailable(f"{self._name}: what answers there is not RTSP")
        except (OSError, asyncio.IncompleteReadError):
            pass


class _Redirect(Exception):
    """The address that is named instead."""


class _Invalid(Exception):
    """Not as FFmpeg would read it, or not RTSP."""


async def _read_data(reader: asyncio.StreamReader, _: bytes) -> bytes:
    head = await reader.readexactly(3)
    return head + await reader.readexactly(int.from_bytes(head[1:]))


async def _read_reply(reader: asyncio.StreamReader, first: bytes) -> bytes:
    """Read the rest of a reply; strictly, so that FFmpeg finds the same beginnings and ends."""
    lines = [first + await _read_line(reader)] if first != b"\n" else [first]
    while lines[-1].strip(b"\r\n"):
        lines.append(await _read_line(reader))
        if len(lines) > _MAX_LINES or lines[-1].startswith(b"$"):
            raise _Invalid
    _check_status(lines)
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    matches = [_LENGTH.fullmatch(line) for line in lengths]
    if len(matches) > 1 or None in matches:
        raise _Invalid
    length = int(matches[0][1]) if matches and matches[0] else 0
    return b"".join(lines)[1:] + await reader.readexactly(length)


def _check_status(lines: list[bytes]) -> None:
    if len(lines) > 1 and _REDIRECT.match(lines[0]):
        locations = (_LOCATION.match(line) for line in lines)
        found = next((match[1] for match in locations if match), b"nowhere")
        raise _Redirect(found.decode("ascii", "replace"))
    if len(lines) > 1 and not (_STATUS.fullmatch(lines[0]) or _REQUEST.fullmatch(lines[0])):
        raise _Invalid


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise _Invalid from None
    # FFmpeg leaves out the one, and ends the line at the other.
    if b"\r" in line[:-2] or b"\0" in line:
        raise _Invalid
    return line


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
