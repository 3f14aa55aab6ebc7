"""The client for asyncio: the same answers, with a coroutine for each question."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any

import grpc

from emotion_ai.client.channel import (
    DEFAULT_TIMEOUT_S,
    OPTIONS,
    Tls,
    check_address,
    failure,
)
from emotion_ai.client.client import IN_FLIGHT
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.requests import (
    DetectedFaces,
    TimedAnswer,
    Version,
    decode_response,
    faces_of,
    grouped,
    locate,
    predictions,
    requests_for,
    with_model_spec,
)
from emotion_ai.client.results import Box, Face, Prediction
from emotion_ai.serving_api import messages


class AsyncClient:
    """`client.Client` for asyncio, to be used within a running loop; see there for all it takes.

    Pictures are read, and faces found, in a thread; requests are the loop's own.

    Example:
        async with AsyncClient("127.0.0.1:8500") as client:
            faces = await client.predict("party.jpg")
    """

    def __init__(
        self,
        address: str,
        faces: str | Detector = "yunet",
        version: Version = None,
        tls: Tls | None = None,
    ) -> None:
        self.address = check_address(address)
        self.detector = open_detector(faces) if isinstance(faces, str) else faces
        self.version = version
        if tls is None:
            self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        else:
            options = [*OPTIONS, *tls.options()]
            self._channel = grpc.aio.secure_channel(address, tls.credentials(), options=options)
        self._predict = self._channel.unary_unary(
            f"/{messages.PREDICTION_SERVICE}/Predict",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=messages.PredictResponse.FromString,
        )

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
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    async def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> list[Face]:
        """As `Client.predict`."""
        located = [await asyncio.to_thread(locate, image, self.detector, channels, boxes)]
        answers = await self._answers(located, timeout)
        return list(faces_of(located, answers, self.address)[0])

    async def predict_many(
        self,
        images: Iterable[ImageLike],
        channels: Channels = "rgb",
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> AsyncIterator[Prediction]:
        """As `Client.predict_many`; `images` is drawn from in a thread, one picture at a time."""
        waiting: deque[tuple[int, list[DetectedFaces], asyncio.Task[list[TimedAnswer]]]] = deque()
        groups = grouped(images, self.detector, channels)
        try:
            while (following := await asyncio.to_thread(next, groups, None)) is not None:
                first, group = following
                task = asyncio.create_task(self._answers(group, timeout))
                waiting.append((first, group, task))
                if len(waiting) > IN_FLIGHT:
                    first, group, task = waiting.popleft()
                    for prediction in predictions(first, group, await task, self.address):
                        yield prediction
            while waiting:
                first, group, task = waiting.popleft()
                for prediction in predictions(first, group, await task, self.address):
                    yield prediction
        finally:
            for _, _, task in waiting:
                task.cancel()

    async def _answers(self, located: Sequence[DetectedFaces], timeout: float) -> list[TimedAnswer]:
        calls = [self._ask(request, timeout) for request in requests_for(located)]
        return list(await asyncio.gather(*calls))

    async def _ask(self, request: Any, timeout: float) -> TimedAnswer:
        start = time.perf_counter()
        try:
            response = await self._predict(with_model_spec(request, self.version), timeout=timeout)
        except grpc.RpcError as error:
            raise failure(self.address, error, timeout) from None
        return decode_response(response, self.address), time.perf_counter() - start
