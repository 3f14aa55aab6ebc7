"""The console's bounds on connections, uploads, photos and frames, with small limits."""

import asyncio
import contextlib
import io
import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from PIL import Image
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from emotion_ai.apps.console import application, connections
from emotion_ai.apps.console.uploads import Uploads

from support.console_in_process import (
    GET,
    HEAD,
    Serving,
    eventually,
    read_answer,
    run,
    upload,
)
from support.console_process import photo
from support.fake_prediction_server import FakePredictionServer, fake_prediction_server


def test_silent_connections_take_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)

    async def test(console: Serving) -> None:
        silent = [await console.connect(data) for data in [b"", b"GET /", upload(b"x", 9)] * 5]
        camera = await connect(f"ws://127.0.0.1:{console.port}/camera", proxy=None)
        assert b" 200 OK" in await console.ask(GET)
        # The oldest has gone.
        assert await silent[0][0].read() == b""
        await eventually(lambda: len(console.server.server_state.connections) <= 4)
        for _, writer in silent:
            writer.close()
        await camera.close()

    run(test)


@pytest.mark.parametrize(
    "sent",
    [b"", HEAD, upload(b"abc", 9), upload(b"", 65 << 20), HEAD + b"Content-Length: 9\r\n\r\nabc"],
    ids=["silence", "head", "upload", "refused upload", "answered body"],
)
def test_dripping_requests_end_in_time(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAIT_S", 0.3)
    monkeypatch.setattr(application, "_UPLOAD_TIMEOUT_S", 0.3)

    async def test(console: Serving) -> None:
        reader, writer = await console.connect(sent)
        with contextlib.suppress(OSError):
            # A byte now and then keeps no connection.
            while not reader.at_eof():
                writer.write(b"x")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(65536), 0.02)
        writer.close()
        await eventually(lambda: not console.server.server_state.connections)
        assert b" 200 OK" in await console.ask(GET)

    run(test)


def test_answers_that_nobody_takes_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAIT_S", 0.3)

    async def test(console: Serving) -> None:
        # More than what the system holds for both sides.
        with socket.create_connection(("127.0.0.1", console.port)) as caller:
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while caller.send(GET * 1000):
                    await asyncio.sleep(0)
            await eventually(lambda: not console.server.server_state.connections)
        assert b" 200 OK" in await console.ask(GET)

    run(test)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_body_is_no_request(method: bytes) -> None:
    head = HEAD.replace(b"GET", method) + b"Content-Length: %d\r\n\r\n" % len(GET)

    async def test(console: Serving) -> None:
        last = b"GET /absent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        reader, writer = await console.connect(head + GET + last)
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 ") == 2
        assert answers.count(b"HTTP/1.1 404 ") == 1
        writer.close()

    run(test)


def test_stalled_uploads_give_way_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = Uploads(3_000_000, 60.0)
    monkeypatch.setattr(application, "Uploads", lambda *limits: uploads)

    async def test(console: Serving) -> None:
        stalled = []
        for _ in range(2):
            # In turn: the first has been silent longest, also on a busy machine.
            stalled.append(await console.connect(upload(bytes(1_400_000), 1_400_001)))
            await eventually(lambda: list(uploads._coming.values()) == [1_400_000] * len(stalled))
        answer = await console.ask(upload(photo() + bytes(1_000_000)))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        first = await read_answer(stalled[0][0])
        assert first.startswith(b"HTTP/1.1 408 ")
        assert json.loads(first.rpartition(b"\r\n\r\n")[2]) == {
            "error": "The picture did not arrive in time.",
            "again": True,
        }
        # The other has a place, and goes on.
        stalled[1][1].write(b"\0")
        second = await read_answer(stalled[1][0])
        assert second.startswith(b"HTTP/1.1 422 ")
        for _, writer in stalled:
            writer.close()

    with fake_prediction_server() as model:
        run(test, model.address)


def count_complete(console: Serving) -> int:
    """How many requests have come with their bodies, and are not answered yet."""
    cycles = [connection.cycle for connection in console.server.server_state.connections]
    return sum(
        not (cycle is None or cycle.more_body or cycle.response_complete) for cycle in cycles
    )


@contextlib.contextmanager
def waiting_model_server() -> Any:
    """A model server that answers once the event is set."""
    released = threading.Event()
    with fake_prediction_server(lambda number, context: released.wait(60) and None) as model:
        try:
            yield model, released
        finally:
            released.set()


def test_photos_beyond_the_bound_are_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "LARGE_PIXELS", 300_000)
    large = io.BytesIO()
    Image.new("L", (600, 600)).save(large, "PNG")
    released = threading.Event()
    _, most = application.LARGE_PHOTOS

    async def test(console: Serving, model: FakePredictionServer) -> None:
        asked = [
            asyncio.create_task(console.ask(upload(large.getvalue()))) for _ in range(most + 1)
        ]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = (task.result() for task in done)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert json.loads(refused.rpartition(b"\r\n\r\n")[2])["again"] is True
        await eventually(lambda: model.calls != [])
        # Smaller ones do not wait for them, nor does the page.
        assert (await console.ask(upload(photo()))).startswith(b"HTTP/1.1 200 OK")
        assert b" 200 OK" in await console.ask(GET)
        released.set()
        for answer in await asyncio.gather(*waiting):
            assert answer.startswith(b"HTTP/1.1 200 OK")

    # The first, a large one, waits.
    wait = lambda number, context: number == 0 and released.wait(60) and None  # noqa: E731
    with fake_prediction_server(wait) as model:
        run(lambda console: test(console, model), model.address)


def test_photos_of_those_who_have_gone_are_not_analysed() -> None:
    async def test(
        console: Serving, model: FakePredictionServer, released: threading.Event
    ) -> None:
        first = [asyncio.create_task(console.ask(upload(photo()))) for _ in range(2)]
        await eventually(lambda: len(model.calls) == 2)
        for _ in range(5):
            _, writer = await console.connect(upload(photo()))
            await eventually(lambda: count_complete(console) == 3)
            writer.close()
            await eventually(lambda: count_complete(console) == 2)
        released.set()
        for answer in await asyncio.gather(*first):
            assert answer.startswith(b"HTTP/1.1 200 OK")
        assert (await console.ask(upload(photo()))).startswith(b"HTTP/1.1 200 OK")
        assert len(model.calls) == 3

    with waiting_model_server() as (model, released):
        run(lambda console: test(console, model, released), model.address)


@pytest.mark.parametrize("drip", [False, True])
def test_cameras_without_frames_end_in_time(drip: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "FRAME_TIMEOUT_S", 0.3)

    async def test(console: Serving) -> None:
        async with connect(f"ws://127.0.0.1:{console.port}/camera", proxy=None) as camera:
            with contextlib.suppress(ConnectionClosed):
                if drip:
                    await camera.send(drops())
                await camera.recv()
            assert camera.close_code == 1000

    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    run(test)


def test_garbage_amid_an_analysis_is_no_defect(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(console: Serving) -> None:
        def error_body(failure: Any) -> Any:
            # The moment in which the connection is closed, and the answer not sent yet.
            (connection,) = console.server.server_state.connections
            connection.data_received(b"\xff\x80\0\0\0\0")
            return {}

        monkeypatch.setattr(application, "error_body", error_body)
        camera = await connect(f"ws://127.0.0.1:{console.port}/camera", proxy=None)
        await camera.send(b"no picture")
        await camera.wait_closed()
        assert camera.close_code == 1002
        await eventually(lambda: not console.server.server_state.tasks)

    run(test)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("part", [b"\x89\x80\0\0\0\0", b"\0\x80\0\0\0\0"], ids=["ping", "part"])
def test_small_parts_of_messages_are_bounded(part: bytes) -> None:
    async def test(console: Serving) -> None:
        async with connect(f"ws://127.0.0.1:{console.port}/camera", proxy=None) as camera:
            # Some are taken, between the two halves of a message.
            halves = b"\x02\x80\0\0\0\0", b"\x80\x80\0\0\0\0"
            camera.transport.write(halves[0] + part * 50 + halves[1])
            assert "not a picture" in await camera.recv()
            camera.transport.write(halves[0] + part * 200)
            await camera.wait_closed()
            assert camera.close_code == 1006

    run(test)


def test_parts_are_read_in_small_pieces_and_whole_bodies_in_large_ones() -> None:
    async def test(console: Serving) -> None:
        in_parts = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000
        answer, writer = await console.connect(in_parts)
        assert (await read_answer(answer)).startswith(b"HTTP/1.1 200 OK")
        with contextlib.suppress(ConnectionResetError):
            assert await answer.read() == b""
        writer.close()
        await eventually(lambda: not console.server.server_state.connections)
        camera = await connect(f"ws://127.0.0.1:{console.port}/camera", proxy=None)
        assert read_size(console) == 1024
        await camera.close()
        await eventually(lambda: not console.server.server_state.connections)
        _, writer = await console.connect(upload(b"x", 9))
        await eventually(lambda: count_uploads(console) == 1)
        assert read_size(console) == 65536
        writer.close()

    def read_size(console: Serving) -> int:
        (connection,) = console.server.server_state.connections
        return connection.transport.max_size

    def count_uploads(console: Serving) -> int:
        return sum(connection.cycle is not None for connection in connected(console))

    def connected(console: Serving) -> list[Any]:
        return list(console.server.server_state.connections)

    run(test)
