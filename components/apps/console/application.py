"""The console's web application: the page, /state, /photo, /example and the WebSocket /camera."""

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
from emotion_ai.errors import EmotionAIError, InputError, Unavailable

ASSETS = Path(__file__).parent / "assets"
# The page sends frames of 640 pixels: some 60 KiB.
MAX_FRAME_BYTES = 4 * 1024 * 1024
# The largest photo takes 200 MB of memory while it is analysed.
_MAX_CONCURRENT_PHOTOS = 2
# With a camera, an early error is better than a late result.
_TIMEOUTS_S = {"photo": 30.0, "camera": 5.0}


def create_application(model_server: ModelServer, faces: str, name: str) -> Starlette:
    """Create the ASGI application; it runs the model server for as long as it runs itself.

    Args:
        model_server: Answers the requests.
        faces: The name of a detector, as in `Client`.
        name: A host name that requests may use, besides localhost and IP addresses.

    Returns:
        The application.
    """
    handlers = _Handlers(model_server, faces)
    routes: list[BaseRoute] = [
        Route("/state", handlers.state),
        Route("/photo", handlers.photo, methods=["POST"]),
        Route("/example", handlers.example),
        WebSocketRoute("/camera", handlers.camera),
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


class _Handlers:
    """The handler of each path."""

    def __init__(self, model_server: ModelServer, faces: str) -> None:
        self._model_server = model_server
        self._detectors = {"photo": open_detector(faces), "camera": live_detector(faces)}
        self._photo_slots = asyncio.Semaphore(_MAX_CONCURRENT_PHOTOS)

    async def state(self, request: Request) -> Response:
        state = await asyncio.to_thread(self._model_server.state)
        return JSONResponse(
            {
                "status": state.status,
                "words": state.message,
                "stays_here": self._model_server.is_local,
                "most_bytes": MAX_FILE_BYTES,
            }
        )

    async def photo(self, request: Request) -> Response:
        """Analyse the body, a picture file, whose size is checked before it is read."""
        length = request.headers.get("content-length", "")
        # A chunked body has any length, whatever the header says.
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            return _error_response(InputError("a picture is sent with its Content-Length"), 411)
        if int(length) > MAX_FILE_BYTES:
            return _error_response(InputError(f"more than {MAX_FILE_BYTES >> 20} MiB"), 413)
        async with self._photo_slots:
            data = await request.body()
            try:
                result = await self._analyse(data, "photo", Tracker())
            except EmotionAIError as failure:
                return _error_response(failure, 503 if isinstance(failure, Unavailable) else 422)
        return JSONResponse(result)

    async def example(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(_cached_example), media_type="image/jpeg")

    async def camera(self, socket: WebSocket) -> None:
        """Answer each message, a frame as a picture file, with one result; one tracker for all."""
        await socket.accept()
        tracker = Tracker()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                result = await self._analyse_message(await socket.receive(), tracker)
                await socket.send_json(result)

    async def _analyse_message(self, message: Any, tracker: Tracker) -> dict[str, Any]:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        try:
            return await self._analyse(message.get("bytes") or b"", "camera", tracker)
        except EmotionAIError as failure:
            return error_body(failure)

    async def _analyse(self, data: bytes, kind: str, tracker: Tracker) -> dict[str, Any]:
        client, detector = self._model_server.client, self._detectors[kind]
        return await asyncio.to_thread(
            analyse_photo, data, client, detector, tracker, _TIMEOUTS_S[kind]
        )


_cached_example = functools.cache(example_photo)


def _error_response(failure: EmotionAIError, status: int) -> Response:
    return JSONResponse(error_body(failure), status)
