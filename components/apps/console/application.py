"""The console's page and what it asks for: /state, /photo, /example and the WebSocket /camera."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from emotion_ai.apps.console.analysis import analyse_photo, error_body, live_detector
from emotion_ai.apps.console.example import example_photo
from emotion_ai.apps.console.model_server import ModelServer
from emotion_ai.apps.console.origin_guard import OriginGuardMiddleware
from emotion_ai.client.detectors import open_detector
from emotion_ai.client.images import MAX_FILE_BYTES
from emotion_ai.client.tracking import Tracker
from emotion_ai.errors import InputError, Unavailable

ASSETS = Path(__file__).parent / "assets"
# The page sends frames of 640 pixels: some 60 KiB.
MAX_FRAME_BYTES = 4 * 1024 * 1024
# A photo of the most pixels takes 200 MB while it is looked at.
_PHOTOS_AT_ONCE = 2
# Whoever looks into a camera would rather be told soon.
_TIMEOUTS_S = {"photo": 30.0, "camera": 5.0}


def application(model_server: ModelServer, faces: str, name: str) -> Starlette:
    """The ASGI application; it has the model server for as long as it runs.

    `faces` is the detector's name, as in `Client`, and `name` the host name that the console is
    reached under besides localhost and addresses.
    """
    answers = _Answers(model_server, faces)
    routes: list[BaseRoute] = [
        Route("/state", answers.state),
        Route("/photo", answers.photo, methods=["POST"]),
        Route("/example", answers.example),
        WebSocketRoute("/camera", answers.camera),
        Mount("/", StaticFiles(directory=ASSETS, html=True)),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(model_server.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return Starlette(
        routes=routes, lifespan=lifespan, middleware=[Middleware(OriginGuardMiddleware, name=name)]
    )


class _Answers:
    """What is answered on each path."""

    def __init__(self, model_server: ModelServer, faces: str) -> None:
        self._model_server = model_server
        self._detectors = {"photo": open_detector(faces), "camera": live_detector(faces)}
        self._photos = asyncio.Semaphore(_PHOTOS_AT_ONCE)

    async def state(self, request: Request) -> Response:
        state = await asyncio.to_thread(self._model_server.state)
        return JSONResponse(
            state._asdict()
            | {"stays_here": self._model_server.stays_here, "most_bytes": MAX_FILE_BYTES}
        )

    async def photo(self, request: Request) -> Response:
        """The body is a picture file; its size is known, and bounded, before it is read."""
        length = request.headers.get("content-length", "")
        # In chunks, the body is as long as it likes, whatever length is given besides.
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            return _failed(InputError("a picture is sent with its Content-Length"), 411)
        if int(length) > MAX_FILE_BYTES:
            return _failed(InputError(f"more than {MAX_FILE_BYTES >> 20} MiB"), 413)
        async with self._photos:
            data = await request.body()
            try:
                answer = await self._look(data, "photo", Tracker())
            except InputError as failure:
                return _failed(failure, 422)
            except Unavailable as failure:
                return _failed(failure, 503)
        return JSONResponse(answer)

    async def example(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(_example), media_type="image/jpeg")

    async def camera(self, socket: WebSocket) -> None:
        """Each message is a frame as a picture file, and gets one answer; one tracker for all."""
        await socket.accept()
        tracker = Tracker()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.send_json(await self._seen(await socket.receive(), tracker))

    async def _seen(self, message: Any, tracker: Tracker) -> dict[str, Any]:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        try:
            return await self._look(message.get("bytes") or b"", "camera", tracker)
        except (InputError, Unavailable) as failure:
            return error_body(failure)

    async def _look(self, data: bytes, kind: str, tracker: Tracker) -> dict[str, Any]:
        client, detector = self._model_server.client, self._detectors[kind]
        return await asyncio.to_thread(
            analyse_photo, data, client, detector, tracker, _TIMEOUTS_S[kind]
        )


_example = functools.cache(example_photo)


def _failed(failure: InputError | Unavailable, status: int) -> Response:
    return JSONResponse(error_body(failure), status)
