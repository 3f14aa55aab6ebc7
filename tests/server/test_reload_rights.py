"""Whoever reaches the port may not choose what is served, unless the server was started so."""

from pathlib import Path

import grpc
import pytest

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.server.process import server_process

from support.server_calls import (
    RunningServer,
    expect_rpc_error,
    four_face_request,
    reload_request,
)


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory: pytest.TempPathFactory, tiny_saved_model: Path) -> str:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "models").mkdir()
    (folder / "models" / "1").symlink_to(tiny_saved_model)
    flags = ["--port=0", "--model_name=emotion_ai", f"--model_base_path={folder}/models"]
    with server_process(flags, folder / "log") as (address, _):
        yield address


def test_reload_is_denied(locked_server: str, tiny_saved_model: Path) -> None:
    """The one place where this server refuses what TensorFlow Serving does."""
    from tensorflow_serving.apis import model_service_pb2_grpc

    with grpc.insecure_channel(locked_server) as channel:
        models = model_service_pb2_grpc.ModelServiceStub(channel)
        request = reload_request(tiny_saved_model.parent, name="other")
        code, details = expect_rpc_error(
            lambda: models.HandleReloadConfigRequest(request, timeout=60)
        )
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert "--allow_reload" in details
    with Client(locked_server) as client:
        with pytest.raises(Unavailable, match="PERMISSION_DENIED"):
            client.unload_all()
        assert client.model_status() == {1: "AVAILABLE"}


def test_reload_takes_no_folder_but_those_of_the_start(
    server: RunningServer, tmp_path: Path
) -> None:
    for base_path in (tmp_path, server.registry / "..", server.registry / "1"):
        request = reload_request(base_path, name="other")
        code, details = expect_rpc_error(
            lambda request=request: server.models.HandleReloadConfigRequest(request, timeout=60)
        )
        assert code == grpc.StatusCode.PERMISSION_DENIED
        assert f"base_path {base_path}: the server was started without it" in details
    assert server.predict.Predict(four_face_request(), timeout=30).model_spec.version.value == 1
