"""A small gRPC server that answers Predict as told: for what a healthy server will not do.

Of its model it says that version 7 is available.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np

from emotion_ai.serving_api.messages import (
    MODEL_SERVICE,
    PREDICTION_SERVICE,
    GetModelStatusRequest,
    GetModelStatusResponse,
    PredictRequest,
    PredictResponse,
)
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

_VERSION = 7
# Of ModelVersionStatus.State (tensorflow_serving/apis/get_model_status.proto).
_AVAILABLE = 30

# Gets the number of the call from 0 and its context, which it may abort; or it waits, or returns.
Behaviour = Callable[[int, Any], None]


class Answering:
    """Where the server listens, and the model_spec and number of faces of every call."""

    def __init__(self, behave: Behaviour) -> None:
        self.address = ""
        self.calls: list[tuple[Any, int]] = []
        self._behave = behave
        self._lock = threading.Lock()

    def predict(self, request: Any, context: Any) -> Any:
        """Each face's emotion is happy; its keypoints lie at (its first pixel, 20)."""
        images = read_tensor(request.inputs["images"])
        with self._lock:
            number = len(self.calls)
            self.calls.append((request.model_spec, len(images)))
        self._behave(number, context)
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
        for name, array in outputs.items():
            fill_tensor(response.outputs[name], array)
        return response


@contextlib.contextmanager
def answering(
    behave: Behaviour = lambda number, context: None,
    credentials: grpc.ServerCredentials | None = None,
    port: int = 0,
) -> Iterator[Answering]:
    """The server, on a port of 127.0.0.1 (0: any free one), for the length of the block."""
    told = Answering(behave)
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (
            _handler(PREDICTION_SERVICE, "Predict", told.predict, PredictRequest),
            _handler(MODEL_SERVICE, "GetModelStatus", _status, GetModelStatusRequest),
        )
    )
    address = f"127.0.0.1:{port}"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    told.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield told
    finally:
        server.stop(0).wait()


def _handler(service: str, name: str, answer: Callable[[Any, Any], Any], request: Any) -> Any:
    method = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=request.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(service, {name: method})


def _status(request: Any, context: Any) -> Any:
    response = GetModelStatusResponse()
    response.model_version_status.add(version=_VERSION, state=_AVAILABLE)
    return response
