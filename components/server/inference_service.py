"""The Open Inference Protocol's gRPC service, as KServe and Triton speak it."""

from collections.abc import Callable
from typing import Any

import grpc

from emotion_ai.server.inference_metadata import is_model_ready, model_metadata, server_metadata
from emotion_ai.server.inference_request import parse_infer
from emotion_ai.server.prediction_service import PredictionService
from emotion_ai.server.rpc import Arrivals, unary_method
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api import messages


def inference_handler(
    arrivals: Arrivals,
    manager: VersionManager[Any],
    is_ready: Callable[[], bool],
    prediction: PredictionService,
) -> grpc.GenericRpcHandler:
    """Return the handler to register with the gRPC server.

    Args:
        arrivals: Reads the messages.
        manager: The loaded versions.
        is_ready: Whether the server is ready.
        prediction: Answers ModelInfer.
    """
    small: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "ServerLive": (
            lambda request: messages.ServerLiveResponse(live=True),
            messages.ServerLiveRequest,
        ),
        "ServerReady": (
            lambda request: messages.ServerReadyResponse(ready=is_ready()),
            messages.ServerReadyRequest,
        ),
        "ServerMetadata": (lambda request: server_metadata(), messages.ServerMetadataRequest),
        "ModelReady": (
            lambda request: messages.ModelReadyResponse(
                ready=is_model_ready(manager, request.name, request.version)
            ),
            messages.ModelReadyRequest,
        ),
        "ModelMetadata": (
            lambda request: model_metadata(manager, request.name, request.version),
            messages.ModelMetadataRequest,
        ),
    }
    methods = {name: unary_method(*method) for name, method in small.items()}
    methods["ModelInfer"] = prediction.method(parse_infer)
    return grpc.method_handlers_generic_handler(
        messages.INFERENCE_SERVICE,
        {name: arrivals.handler(method) for name, method in methods.items()},
    )
