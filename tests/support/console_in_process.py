"""A console in the test's process, and connections to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import uvicorn

from emotion_ai.apps.console import application
from emotion_ai.apps.console.command import server_config
from emotion_ai.apps.console.model_server import RemoteModelServer

HEAD = b"GET /example HTTP/1.1\r\nHost: localhost\r\n"
GET = HEAD + b"\r\n"
NOBODY = "127.0.0.1:1"


def upload(body: bytes, length: int | None = None) -> bytes:
    """A photo's request, whose body may be longer than what is sent of it."""
    length = len(body) if length is None else length
    head = f"POST /photo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


class Serving:
    """A console in this process: its port, and uvicorn's server."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        self.port = port
        self.server = server

    async def connect(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def ask(self, data: bytes) -> bytes:
        """The answer to one request, up to the end of its body."""
        reader, writer = await self.connect(data)
        try:
            return await read_answer(reader)
        finally:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """Read an answer, whose head names its length; what was read where the connection ends."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    return head + await reader.readexactly(length)


@contextlib.asynccontextmanager
async def serving(address: str = NOBODY) -> AsyncIterator[Serving]:
    """Serve the console, whose model server is at this address."""
    app = application.create_application(RemoteModelServer(address, "whole"), "whole", "localhost")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(app))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Serving(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            await task


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def run(test: Callable[[Serving], Awaitable[None]], address: str = NOBODY) -> None:
    """Run a test with a console."""

    async def with_console() -> None:
        async with serving(address) as console:
            await test(console)

    asyncio.run(with_console())
