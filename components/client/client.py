"""A gRPC client for the embedded model server and TensorFlow Serving, without TensorFlow."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.channel import DEFAULT_TIMEOUT_S, map_grpc_errors
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.model_service import ModelServiceClient
from emotion_ai.client.requests import (
    MAX_BATCHES_IN_FLIGHT,
    DetectedFaces,
    PictureBatch,
    TimedResponse,
    Version,
    decode_batch,
    decode_faces,
    decode_response,
    detect_faces,
    encode_pictures,
    encode_request,
    read_batches,
    with_model_spec,
)
from emotion_ai.client.results import Box, Face, ModelResponse, Prediction


class _Call(NamedTuple):
    """A request in flight: when it was sent, and when it ended, once it has."""

    future: Any
    start: float
    ends: list[float]


class Client(ModelServiceClient):
    """A connection to the model server.

    Nothing is sent before the first call. Every call has a deadline and is retried while the
    server is UNAVAILABLE or stops; once it has answered, predictions wait for it to come back.
    Requests to a host name with several addresses take turns among them.

    Args:
        address: HOST:PORT of the server, or dns:///HOST:PORT.
        faces: How faces are detected in pictures: "yunet", "dlib", or "whole" for pictures of one
            face each; "NAME:SIDE" sets the pixels of the longer side; or a `Detector`.
        version: The release to ask, by its number or by the server's label for it; None for the
            server's default.
        tls: The files of an encrypted connection; None for plain text.
        timeout: Seconds until a request of `predict` and `predict_many` fails.

    Raises:
        InputError: An argument is invalid.

    Example:
        with Client("127.0.0.1:8500") as client:
            for face in client.predict("party.jpg"):
                print(face.emotion, face.box)
    """

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls in flight are cancelled.

        Example:
            client = Client("127.0.0.1:8500")
            client.close()
        """
        self._starter.shutdown()
        self._channel.close()

    @cached_property
    def _starter(self) -> ThreadPoolExecutor:
        """Return the thread that starts calls, which Ctrl-C cannot reach.

        Between the start of a call and of gRPC's thread that ends it, an exception would let
        `close` wait for ever.
        """
        return ThreadPoolExecutor(1)

    def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
        timeout: float | None = None,
    ) -> list[Face]:
        """Predict the faces in one picture.

        Args:
            image: A path; the bytes of a picture file; a PIL image; or an array, uint8, uint16 or
                floats from 0 to 1, [H, W] gray, [H, W, 3] in colour or [H, W, 4] with alpha.
            channels: The order of an array's colours: "bgr" for OpenCV's frames.
            boxes: Faces to predict instead of those that the detector finds.
            timeout: Seconds until a request fails; None for the client's.

        Returns:
            The faces, the surest detection first; with `boxes`, in their order. Empty where no
            face is found.

        Raises:
            InputError: The picture cannot be read, or the server refused the request.
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                for face in client.predict("party.jpg"):
                    print(face.emotion, face.probabilities, face.keypoints)
        """
        timeout = self.timeout if timeout is None else timeout
        pictures = [detect_faces(image, self.detector, channels, boxes)]
        responses = self._wait(self._start(pictures, timeout), timeout)
        return decode_faces(pictures, responses, self.address)[0]

    def predict_many(
        self,
        images: Iterable[ImageLike],
        channels: Channels = "rgb",
        timeout: float | None = None,
    ) -> Iterator[Prediction]:
        """Predict the faces in each of many pictures, in the order given.

        Memory does not grow with their number: pictures are read in batches, a few ahead.

        Args:
            images: The pictures, each as in `predict`.
            channels: The order of an array's colours.
            timeout: Seconds until a request fails; None for the client's.

        Yields:
            A prediction for each picture; one that cannot be read has an `error` and no faces.

        Raises:
            InputError: `images` is a single picture, or the server refused a request.
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                for prediction in client.predict_many(["party.jpg", "missing.jpg"]):
                    print(prediction.source, prediction.error or len(prediction.faces))
        """
        timeout = self.timeout if timeout is None else timeout
        in_flight: deque[tuple[PictureBatch, list[_Call]]] = deque()
        try:
            for batch in read_batches(images, self.detector, channels):
                in_flight.append((batch, self._start(batch.pictures, timeout)))
                if len(in_flight) > MAX_BATCHES_IN_FLIGHT:
                    yield from self._finish(*in_flight.popleft(), timeout)
            while in_flight:
                yield from self._finish(*in_flight.popleft(), timeout)
        finally:
            for _, calls in in_flight:
                for call in calls:
                    call.future.cancel()

    def _start(self, pictures: Sequence[DetectedFaces], timeout: float) -> list[_Call]:
        requests = encode_pictures(pictures, self.version)
        return [self._start_call(request, timeout) for request in requests]

    def _start_call(self, request: Any, timeout: float) -> _Call:
        start = time.perf_counter()
        future = self._starter.submit(
            self._predict.future, request, timeout=timeout, wait_for_ready=self._has_answered
        ).result()
        ends: list[float] = []
        future.add_done_callback(lambda _: ends.append(time.perf_counter()))
        return _Call(future, start, ends)

    def _finish(
        self, batch: PictureBatch, calls: Sequence[_Call], timeout: float
    ) -> list[Prediction]:
        return decode_batch(batch, self._wait(calls, timeout), self.address)

    def _wait(self, calls: Sequence[_Call], timeout: float) -> list[TimedResponse]:
        responses = []
        for call in calls:
            with map_grpc_errors(self.address, timeout):
                response = call.future.result()
            self._has_answered = True
            # The result may be there a moment before the callback has run.
            end = call.ends[0] if call.ends else time.perf_counter()
            decoded = decode_response(response, self.address)
            responses.append(TimedResponse(decoded, end - call.start))
        return responses

    def predict_arrays(
        self,
        images: NDArray[np.uint8],
        version: Version = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> ModelResponse:
        """Predict from the pixels of faces, in one request.

        Args:
            images: uint8 [n, 96, 96, 1], gray.
            version: The release to ask; None for the client's.
            timeout: Seconds until the request fails.

        Returns:
            The outputs of the model; its keypoints are in pixels of the 96x96 frame.

        Raises:
            InputError: The server refused the request.
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                response = client.predict_arrays(np.zeros((2, 96, 96, 1), np.uint8))
            print(response.version, response.outputs["emotion"])
        """
        request = encode_request("serving_default", "images", images)
        return self.send(request, version, timeout)

    def predict_encoded(
        self,
        pictures: Sequence[bytes],
        version: Version = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> ModelResponse:
        """Predict from picture files of faces, which the model itself decodes, in one request.

        Args:
            pictures: The bytes of JPEG or PNG files, each one face, at most 4,096 pixels a side.
                The model turns them as their EXIF says, and looks at no transparency.
            version: The release to ask; None for the client's.
            timeout: Seconds until the request fails.

        Returns:
            The outputs of the model; its keypoints are in pixels of the 96x96 frame.

        Raises:
            InputError: The server refused the request.
            Unavailable: The server is down or did not answer in time.

        Example:
            with Client("127.0.0.1:8500") as client:
                response = client.predict_encoded([Path("face.png").read_bytes()])
            print(response.outputs["emotion"])
        """
        array = np.array(list(pictures), dtype=object)
        return self.send(encode_request("encoded", "image_bytes", array), version, timeout)

    def send(
        self, request: Any, version: Version = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> ModelResponse:
        """Send a Predict request as it is, except for its model name and version.

        Args:
            request: A `serving_api.messages.PredictRequest`.
            version: The release to ask; None for the client's.
            timeout: Seconds until the request fails.

        Returns:
            The outputs of the model.

        Raises:
            InputError: The server refused the request.
            Unavailable: The server is down or did not answer in time.

        Example:
            request = PredictRequest(output_filter=["emotion"])
            fill_tensor(request.inputs["images"], np.zeros((1, 96, 96, 1), np.uint8))
            with Client("127.0.0.1:8500") as client:
                print(client.send(request).outputs["emotion"])
        """
        request = with_model_spec(request, self.version if version is None else version)
        with map_grpc_errors(self.address, timeout):
            response = self._predict(request, timeout=timeout, wait_for_ready=self._has_answered)
        self._has_answered = True
        return decode_response(response, self.address)
