"""The console's web application: the page, /state, /photo, /example and the WebSocket /camera."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from emotion_ai.apps.console.analysis import (
    PictureLimits,
    analyse_picture,
    error_body,
    has_more_pixels,
    live_detector,
)
from emotion_ai.apps.console.example import example_photo
from emotion_ai.apps.console.model_server import ModelServer, ModelServerState
from emotion_ai.apps.console.origin_guard import OriginGuardMiddleware
from emotion_ai.apps.console.queues import AnalysisQueue
from emotion_ai.apps.console.uploads import Uploads
from emotion_ai.client.detectors import open_detector
from emotion_ai.client.following import Follower
from emotion_ai.client.images import MAX_FILE_BYTES, MAX_PIXELS
from emotion_ai.errors import EmotionAIError, InputError, Unavailable

ASSETS = Path(__file__).parent / "assets"
# The page sends frames of 640 pixels: some 60 KiB.
MAX_FRAME_BYTES = 1024 * 1024
_PHOTO_LIMITS = PictureLimits(MAX_PIXELS, 30.0)
# With a camera, an early error is better than a late result.
_FRAME_LIMITS = PictureLimits(4_000_000, 5.0)
# Of photos up to this size, of larger ones, which take 650 MB of memory and seconds, and of frames:
# how many are analysed at once, and how many may wait, too.
LARGE_PIXELS = 16_000_000
SMALL_PHOTOS, LARGE_PHOTOS, FRAMES = (2, 16), (1, 8), (4, 64)
_UPLOADS_BYTES = 3 * MAX_FILE_BYTES
_UPLOAD_TIMEOUT_S = 60.0
# The page connects again when it goes on.
FRAME_TIMEOUT_S = 60.0


def create_application(
    model_server: ModelServer, faces: str, name: str, about: Mapping[str, str] = {}
) -> Starlette:
    """Create the ASGI application; it closes the model server when it ends.

    Args:
        model_server: Answers the requests.
        faces: The name of a detector, as in `Client`.
        name: A host name that requests may use, besides localhost and IP addresses.
        about: The purpose by `PURPOSE`, if one is declared.

    Returns:
        The application.
    """
    handlers = _Handlers(model_server, faces, about)
    routes: list[BaseRoute] = [
        Route("/state", handlers.state),
        Route("/photo", handlers.photo, methods=["POST"]),
        Route("/example", handlers.example),
        WebSocketRoute("/camera", handlers.camera),
        Mount("/", StaticFiles(directory=ASSETS, html=True)),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        handlers.close()
        model_server.close()

    return Starlette(
        routes=routes, lifespan=lifespan, middleware=[Middleware(OriginGuardMiddleware, name=name)]
    )


class _Handlers:
    """The handler of each path.

    Nothing that many callers share is held while one of them is to send or to take something.
    """

    def __init__(self, model_server: ModelServer, faces: str, about: Mapping[str, str]) -> None:
        self._model_server = model_server
        self._about = about
        self._photo_detector = open_detector(faces)
        self._frame_detector = live_detector(faces)
        self._small_photos = AnalysisQueue(*SMALL_PHOTOS)
        self._large_photos = AnalysisQueue(*LARGE_PHOTOS)
        self._frames = AnalysisQueue(*FRAMES)
        self._uploads = Uploads(_UPLOADS_BYTES, _UPLOAD_TIMEOUT_S)
        self._state: asyncio.Task[ModelServerState] | None = None

    def close(self) -> None:
        """Begin no other analysis."""
        for queue in (self._small_photos, self._large_photos, self._frames):
            queue.close()

    async def state(self, request: Request) -> Response:
        # One question at a time: a model server that does not respond takes seconds.
        if self._state is None or self._state.done():
            self._state = asyncio.create_task(asyncio.to_thread(self._model_server.state))
        state = await asyncio.shield(self._state)
        return JSONResponse(
            {
                "status": state.status,
                "words": state.message,
                "stays_here": self._model_server.is_local,
                "most_bytes": MAX_FILE_BYTES,
                **self._about,
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
        try:
            async with self._uploads.receive(request) as data:
                return JSONResponse(await _unless_gone(request, self._analyse_photo(data)))
        except TimeoutError:
            return _error_response(Unavailable("The picture did not arrive in time."), 408)
        except EmotionAIError as failure:
            return _error_response(failure, 503 if isinstance(failure, Unavailable) else 422)
        except ClientDisconnect:
            # Nobody reads it.
            return Response(status_code=400)

    async def _analyse_photo(self, data: bytes) -> dict[str, Any]:
        is_large = functools.partial(has_more_pixels, data, LARGE_PIXELS)
        queue = self._large_photos if await self._small_photos.run(is_large) else self._small_photos
        return await queue.run(
            functools.partial(
                analyse_picture,
                data,
                self._model_server.predict,
                Follower(self._photo_detector),
                _PHOTO_LIMITS,
            )
        )

    async def example(self, request: Request) -> Response:
        return Response(await asyncio.to_thread(_cached_example), media_type="image/jpeg")

    async def camera(self, socket: WebSocket) -> None:
        """Answer each message, a frame as a picture file, with one result; one follower for all."""
        await socket.accept()
        follower = Follower(self._frame_detector)
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                try:
                    message = await asyncio.wait_for(socket.receive(), FRAME_TIMEOUT_S)
                except TimeoutError:
                    await socket.close()
                    return
                await socket.send_json(await self._analyse_message(message, follower))

    async def _analyse_message(self, message: Any, follower: Follower) -> dict[str, Any]:
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        frame = message.get("bytes") or b""
        try:
            return await self._frames.run(
                functools.partial(
                    analyse_picture,
                    frame,
                    self._model_server.predict,
                    follower,
                    _FRAME_LIMITS,
                )
            )
        except EmotionAIError as failure:
            return error_body(failure)


_cached_example = functools.cache(example_photo)


async def _unless_gone(
    request: Request, work: Coroutine[Any, Any, dict[str, Any]]
) -> dict[str, Any]:
    """Wait for a result, or raise `ClientDisconnect` where the caller has gone before."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_wait_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _error_response(failure: EmotionAIError, status: int) -> Response:
    return JSONResponse(error_body(failure), status)
