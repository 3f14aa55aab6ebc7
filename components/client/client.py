"""Ask a model server over gRPC: the embedded one or TensorFlow Serving, without TensorFlow."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import grpc
import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.channel import (
    DEFAULT_TIMEOUT_S,
    OPTIONS,
    Tls,
    check_address,
    failure,
)
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.images import Channels, ImageLike
from emotion_ai.client.requests import (
    Answer,
    DetectedFaces,
    TimedAnswer,
    Version,
    decode_response,
    faces_of,
    grouped,
    locate,
    predictions,
    request_for,
    requests_for,
    with_model_spec,
)
from emotion_ai.client.results import Box, Face, Prediction
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.messages import MODEL_NAME

_STATES = messages.ModelVersionStatus.DESCRIPTOR.enum_types_by_name["State"].values_by_number
# Groups of pictures that the server may be working on while the next ones are read.
IN_FLIGHT = 4


class VersionStatus(NamedTuple):
    """A version's state (START, LOADING, AVAILABLE, UNLOADING, END) and why it failed, or ""."""

    version: int
    state: str
    error: str


class _Call(NamedTuple):
    """A request under way; when it was sent and, once it is so, when it ended."""

    future: Any
    start: float
    ends: list[float]


class Client:
    """A connection to the model server at `address`, HOST:PORT.

    Nothing is sent before the first call. Every call has a deadline in seconds, and is tried again
    while the server is UNAVAILABLE; a host name with several addresses is asked in turns. All raise
    `Unavailable` naming the address when the server is down or silent, and `InputError` for what
    the server refuses.

    Args:
        address: HOST:PORT.
        faces: how faces are found in pictures: a name of `detectors.DETECTORS`, of which "whole"
            takes each picture for one face, or a detector.
        version: the release to ask, by number or by the server's label; None for its newest.
        tls: the files of an encrypted connection; None for one in plain text.

    Example:
        with Client("127.0.0.1:8500") as client:
            for face in client.predict("party.jpg"):
                print(face.emotion, face.box)
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
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            options = [*OPTIONS, *tls.options()]
            self._channel = grpc.secure_channel(address, tls.credentials(), options=options)
        service = messages.PREDICTION_SERVICE
        self._predict = self._method(f"/{service}/Predict", messages.PredictResponse)
        service = messages.MODEL_SERVICE
        self._status = self._method(f"/{service}/GetModelStatus", messages.GetModelStatusResponse)
        path = f"/{service}/HandleReloadConfigRequest"
        self._reload = self._method(path, messages.ReloadConfigResponse)

    def _method(self, path: str, response: Any) -> Any:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )

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
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def predict(
        self,
        image: ImageLike,
        channels: Channels = "rgb",
        boxes: Sequence[Box] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> list[Face]:
        """The faces in one picture, the surest first; none where none is found.

        `image` and `channels` are as in `images.read_image`, and refused as there. With `boxes`
        these are asked about, in their order, and nothing is detected.
        """
        located = [locate(image, self.detector, channels, boxes)]
        calls = [self._begin(request, timeout) for request in requests_for(located)]
        return list(faces_of(located, self._answers(calls, timeout), self.address)[0])

    def predict_many(
        self,
        images: Iterable[ImageLike],
        channels: Channels = "rgb",
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> Iterator[Prediction]:
        """The faces of each picture, in the order given; a bad picture has an `error` instead.

        Pictures are read, and faces sent, a group at a time, while the server works on at most
        `IN_FLIGHT` groups: memory does not grow with their number. Each request has the deadline.
        """
        waiting: deque[tuple[int, list[DetectedFaces], list[_Call]]] = deque()
        try:
            for first, group in grouped(images, self.detector, channels):
                calls = [self._begin(request, timeout) for request in requests_for(group)]
                waiting.append((first, group, calls))
                if len(waiting) > IN_FLIGHT:
                    yield from self._ended(*waiting.popleft(), timeout)
            while waiting:
                yield from self._ended(*waiting.popleft(), timeout)
        finally:
            for _, _, calls in waiting:
                for call in calls:
                    call.future.cancel()

    def _begin(self, request: Any, timeout: float) -> _Call:
        start = time.perf_counter()
        future = self._predict.future(with_model_spec(request, self.version), timeout=timeout)
        ends: list[float] = []
        future.add_done_callback(lambda _: ends.append(time.perf_counter()))
        return _Call(future, start, ends)

    def _ended(
        self, first: int, group: list[DetectedFaces], calls: list[_Call], timeout: float
    ) -> list[Prediction]:
        return predictions(first, group, self._answers(calls, timeout), self.address)

    def _answers(self, calls: list[_Call], timeout: float) -> list[TimedAnswer]:
        answers = []
        for call in calls:
            try:
                answer = decode_response(call.future.result(), self.address)
            except grpc.RpcError as error:
                raise failure(self.address, error, timeout) from None
            # The result may be there a moment before the callback has run.
            end = call.ends[0] if call.ends else time.perf_counter()
            answers.append((answer, end - call.start))
        return answers

    def predict_arrays(
        self,
        images: NDArray[np.uint8],
        version: Version = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """Predict from pixels: `images` uint8 [n, 96, 96, 1]; without a version, the client's."""
        return self.send(request_for("serving_default", "images", images), version, timeout)

    def predict_encoded(
        self,
        pictures: Sequence[bytes],
        version: Version = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """Predict from JPEG or PNG files of faces, which the model itself decodes."""
        array = np.array(list(pictures), dtype=object)
        return self.send(request_for("encoded", "image_bytes", array), version, timeout)

    def send(
        self, request: Any, version: Version = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> Answer:
        """Send a `messages.PredictRequest` as it is, but to this model and the given version."""
        request = with_model_spec(request, self.version if version is None else version)
        try:
            response = self._predict(request, timeout=timeout)
        except grpc.RpcError as error:
            raise failure(self.address, error, timeout) from None
        return decode_response(response, self.address)

    def model_status(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[int, str]:
        """State of each version the server knows; {} where it knows none (yet)."""
        return {v.version: v.state for v in self.version_statuses(version, timeout)}

    def version_statuses(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> list[VersionStatus]:
        """As `model_status`, with the reason why a version did not load."""
        request = messages.GetModelStatusRequest()
        request.model_spec.name = MODEL_NAME
        if version is not None:
            request.model_spec.version.value = version
        try:
            response = self._status(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise failure(self.address, error, timeout) from None
        return [
            VersionStatus(s.version, _STATES[s.state].name, s.status.error_message)
            for s in response.model_version_status
        ]

    def unload_all(self, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Make the server drop every version it holds, until it reads another configuration."""
        request = messages.ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        try:
            self._reload(request, timeout=timeout)
        except grpc.RpcError as error:
            raise failure(self.address, error, timeout) from None
