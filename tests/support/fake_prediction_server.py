"""A gRPC server with a fake model, for responses and failures that a real server does not give.

It reports that version 7 of its model is available.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from emotion_ai.serving_api.messages import (
    MODEL_SERVICE,
    PREDICTION_SERVICE,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
    ReloadConfigRequest,
    ReloadConfigResponse,
)
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

_VERSION = 7
# ModelVersionStatus.State (tensorflow_serving/apis/get_model_status.proto).
_AVAILABLE = 30

# Called with the number of the call, from 0, and its context: it may wait, or abort the call.
OnCall = Callable[[int, Any], None]
# Changes the outputs of an answer.
Alter = Callable[[dict[str, NDArray]], None]


class FakePredictionServer:
    """The server's address, and the model_spec and number of faces of every call."""

    def __init__(self, on_call: OnCall, alter: Alter) -> None:
        self.address = ""
        self.calls: list[tuple[Any, int]] = []
        self._on_call = on_call
        self._alter = alter
        self._lock = threading.Lock()

    def predict(self, request: Any, context: Any) -> Any:
        """Return "happy" for each face, and every keypoint at (value of its first pixel, 20)."""
        images = _read_images(request)
        with self._lock:
            number = len(self.calls)
            self.calls.append((request.model_spec, len(images)))
        self._on_call(number, context)
        count = len(images)
        response = PredictResponse()
        response.model_spec.version.value = _VERSION
        points = np.full((count, 15, 2), 20, np.float32)
        points[..., 0] = images[:, 0, 0]
        outputs = {
            "keypoints": points,
            "emotion_probabilities": np.tile(np.float32([0.75, 0.25]), (count, 1)),
            "emotion": np.array([b"happy"] * count, dtype=object),
            "emotion_labels": np.array([[b"happy", b"sad"]] * count, dtype=object),
        }
        self._alter(outputs)
        for name, array in outputs.items():
            fill_tensor(response.outputs[name], array)
        return response


@contextlib.contextmanager
def fake_prediction_server(
    on_call: OnCall = lambda number, context: None,
    credentials: grpc.ServerCredentials | None = None,
    port: int = 0,
    alter: Alter = lambda outputs: None,
) -> Iterator[FakePredictionServer]:
    """Run the server on a port of 127.0.0.1 (0 is any free one) during a `with` block."""
    fake = FakePredictionServer(on_call, alter)
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (
            _handler(PREDICTION_SERVICE, "Predict", fake.predict, PredictRequest),
            _handler(MODEL_SERVICE, "GetModelStatus", _get_status, GetModelStatusRequest),
            _handler(
                MODEL_SERVICE,
                "HandleReloadConfigRequest",
                lambda request, context: ReloadConfigResponse(),
                ReloadConfigRequest,
            ),
        )
    )
    address = f"127.0.0.1:{port}"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    fake.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield fake
    finally:
        server.stop(0).wait()


def abort(*codes: grpc.StatusCode) -> OnCall:
    """Fail the first calls with these codes, in order; later calls succeed."""

    def on_call(number: int, context: Any) -> None:
        if number < len(codes):
            context.abort(codes[number], "not now")

    return on_call


def _handler(service: str, name: str, method: Callable[[Any, Any], Any], request_class: Any) -> Any:
    handler = grpc.unary_unary_rpc_method_handler(
        method,
        request_deserializer=request_class.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {name: handler})


def _read_images(request: Any) -> NDArray[np.uint8]:
    if "image_bytes" in request.inputs:
        return np.zeros((len(read_tensor(request.inputs["image_bytes"])), 96, 96, 1), np.uint8)
    return read_tensor(request.inputs["images"])


def _get_status(request: Any, context: Any) -> Any:
    response = GetModelStatusResponse()
    response.model_version_status.add(version=_VERSION, state=_AVAILABLE)
    return response
