"""The client for asyncio: the results of `Client`, with coroutines."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any

import grpc.aio

from emotion_ai.client.base_client import BaseClient
from emotion_ai.client.channel import map_grpc_errors
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.requests import (
    MAX_BATCHES_IN_FLIGHT,
    DetectedFaces,
    PictureBatch,
    TimedResponse,
    decode_batch,
    decode_faces,
    decode_response,
    detect_faces,
    encode_pictures,
    read_batches,
)
from emotion_ai.client.results import Box, Face, Prediction


class AsyncClient(BaseClient):
    """A connection to the model server for asyncio, created within a running event loop.

    Pictures are read, and faces detected, in a thread, so that the loop stays responsive.

    Args:
        address: HOST:PORT of the server, or dns:///HOST:PORT.
        faces: How faces are detected; see `Client`.
        version: The release to ask; see `Client`.
        tls: The files of an encrypted connection; None for plain text.
        timeout: Seconds until a request of `predict` and `predict_many` fails.

    Raises:
        InputError: An argument is invalid.

    Example:
        async with AsyncClient("127.0.0.1:8500") as client:
            for face in await client.predict("party.jpg"):
                print(face.emotion, face.box)
    """

    _grpc = grpc.aio

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls in flight are cancelled.

        Example:
            client = AsyncClient("127.0.0.1:8500")
            await client.close()
        """
        await self._channel.close()

    async def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
        timeout: float | None = None,
    ) -> list[Face]:
        """Predict the faces in one picture.

        Args:
            image: A path, a file's bytes, a PIL image or an array; see `Client.predict`.
            channels: The order of an array's colours.
            boxes: Faces to predict instead of those that the detector finds.
            timeout: Seconds until a request fails; None for the client's.

        Returns:
            The faces, the surest detection first; with `boxes`, in their order.

        Raises:
            InputError: The picture cannot be read, or the server refused the request.
            Unavailable: The server is down or did not answer in time.

        Example:
            async with AsyncClient("127.0.0.1:8500") as client:
                faces, others = await asyncio.gather(
                    client.predict("party.jpg"), client.predict("other.jpg")
                )
        """
        timeout = self.timeout if timeout is None else timeout
        pictures = [await asyncio.to_thread(detect_faces, image, self.detector, channels, boxes)]
        responses = await self._send_all(pictures, timeout)
        return decode_faces(pictures, responses, self.address)[0]

    async def predict_many(
        self,
        images: Iterable[ImageLike],
        channels: Channels = "rgb",
        timeout: float | None = None,
    ) -> AsyncIterator[Prediction]:
        """Predict the faces in each of many pictures, in the order given.

        Memory does not grow with their number: pictures are read in batches, a few ahead.

        Args:
            images: The pictures; an iterator is advanced in a thread.
            channels: The order of an array's colours.
            timeout: Seconds until a request fails; None for the client's.

        Yields:
            A prediction for each picture; one that cannot be read has an `error` and no faces.

        Raises:
            InputError: `images` is a single picture, or the server refused a request.
            Unavailable: The server is down or did not answer in time.

        Example:
            async with AsyncClient("127.0.0.1:8500") as client:
                async for prediction in client.predict_many(["party.jpg", "missing.jpg"]):
                    print(prediction.source, prediction.error or len(prediction.faces))
        """
        timeout = self.timeout if timeout is None else timeout
        in_flight: deque[tuple[PictureBatch, asyncio.Task[list[TimedResponse]]]] = deque()
        batches = read_batches(images, self.detector, channels)
        try:
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                task = asyncio.create_task(self._send_all(batch.pictures, timeout))
                in_flight.append((batch, task))
                if len(in_flight) > MAX_BATCHES_IN_FLIGHT:
                    batch, task = in_flight.popleft()
                    for prediction in decode_batch(batch, await task, self.address):
                        yield prediction
            while in_flight:
                batch, task = in_flight.popleft()
                for prediction in decode_batch(batch, await task, self.address):
                    yield prediction
        finally:
            for _, task in in_flight:
                task.cancel()

    async def _send_all(
        self, pictures: Sequence[DetectedFaces], timeout: float
    ) -> list[TimedResponse]:
        requests = encode_pictures(pictures, self.version)
        return await asyncio.gather(*(self._send(request, timeout) for request in requests))

    async def _send(self, request: Any, timeout: float) -> TimedResponse:
        start = time.perf_counter()
        with map_grpc_errors(self.address, timeout):
            response = await self._predict(
                request, timeout=timeout, wait_for_ready=self._has_answered
            )
        self._has_answered = True
        return TimedResponse(decode_response(response, self.address), time.perf_counter() - start)
