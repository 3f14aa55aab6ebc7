"""What the tests of the server share: a running one, and how to ask it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from emotion_ai.client.client import Client


class Running(NamedTuple):
    """A server with one release of shift 1, and one client of each kind."""

    address: str
    registry: Path
    log: Path
    predict: Any
    models: Any
    client: Client
    process_id: int


def eventually(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it is true; a test that waits in vain fails."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def health_of(address: str, service: str = "") -> int:
    """The status that the gRPC health service tells."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status)


def request_for(**spec: Any) -> Any:
    """A PredictRequest for four faces, made with tensorflow-serving-api."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    from support.tiny_saved_model import faces

    request = PredictRequest()
    request.model_spec.name = spec.pop("name", "emotion_ai")
    choose(request, spec)
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(faces(4)))
    return request


def choose(request: Any, spec: dict[str, Any]) -> None:
    """Set fields of the ModelSpec of any request: name, version, version_label, signature_name."""
    for field, value in spec.items():
        if field == "version":
            request.model_spec.version.value = value
        else:
            setattr(request.model_spec, field, value)


def reload_request(base_path: Path, name: str) -> Any:
    """A ReloadConfigRequest for the newest version of one model."""
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name=name, base_path=str(base_path), model_platform="tensorflow"
    )
    return request


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    """The code and the words with which a call is refused; fails where it is answered."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), raised.value.details()
