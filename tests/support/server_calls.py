"""Requests to a model server in tests, and what a running server consists of."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from emotion_ai.client.client import Client


class RunningServer(NamedTuple):
    """A server of a registry whose release 1 has shift 1; `predict` and `models` are stubs.

    `rest` is HOST:PORT of its REST API.
    """

    address: str
    registry: Path
    log: Path
    predict: Any
    models: Any
    client: Client
    process_id: int
    rest: str


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition is true; fail if it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not true after {seconds:g} s"
        time.sleep(0.05)


def get_health(address: str, service: str = "") -> int:
    """Return the status that the gRPC health service reports."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status)


def four_face_request(**spec: Any) -> Any:
    """Return a PredictRequest of tensorflow-serving-api with four faces and a ModelSpec."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from support.tiny_saved_model import gray_faces

    request = PredictRequest()
    request.model_spec.name = spec.pop("name", "emotion_ai")
    set_model_spec(request, spec)
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(gray_faces(4)))
    return request


def set_model_spec(request: Any, spec: dict[str, Any]) -> None:
    """Set ModelSpec fields of a request: name, version, version_label or signature_name."""
    for field, value in spec.items():
        if field == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, field, value)


def reload_request(base_path: Path, name: str) -> Any:
    """Return a ReloadConfigRequest for the newest version of one model."""
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name=name, base_path=str(base_path), model_platform="tensorflow"
    )
    return request


def expect_rpc_error(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    """Return the status code and details of a call that must fail."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), raised.value.details()
