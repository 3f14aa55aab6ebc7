"""What users of TensorFlow Serving do: padded versions, sockets, IPv6, empty batches, odd paths."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from emotion_ai.client.client import Client
from emotion_ai.server.process import server_process
from emotion_ai.serving_api.messages import PREDICTION_SERVICE, PredictRequest, PredictResponse
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

from support.command_line import assert_refused, emotion_ai


class _Habits(NamedTuple):
    address: str
    socket: Path


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def habits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Habits]:
    from support.untrained_saved_model import write_face_model

    folder = tmp_path_factory.mktemp("habits")
    write_face_model(folder / "models" / "00000012")
    path = folder / "socket"
    flags = [
        "--port=0",
        "--host=::1" if _has_ipv6() else "--host=127.0.0.1",
        "--model_name=emotion_ai",
        f"--model_base_path={folder}/models",
        f"--grpc_socket_path={path}",
        "--saved_model_tags=serve",
        "--enable_grpc_healthcheck_service",
    ]
    with server_process(flags, folder / "log") as (address, _):
        yield _Habits(address, path)


def test_version_folder_with_leading_zeros_is_served(habits: _Habits) -> None:
    if _has_ipv6():
        assert habits.address.startswith("[::1]:")
    with Client(habits.address) as client:
        assert client.model_status() == {12: "AVAILABLE"}
        response = client.predict_arrays(np.zeros((2, 96, 96, 1), np.uint8))
    assert response.version == 12
    assert response.outputs["keypoints"].shape == (2, 15, 2)


def test_empty_batch_has_empty_outputs(habits: _Habits) -> None:
    with Client(habits.address) as client:
        full = client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).outputs
        empty = client.predict_arrays(np.zeros((0, 96, 96, 1), np.uint8)).outputs
        encoded = client.predict_encoded([]).outputs
    expected = {name: (0, *array.shape[1:]) for name, array in full.items()}
    for outputs in (empty, encoded):
        assert {name: array.shape for name, array in outputs.items()} == expected
        assert {n: a.dtype for n, a in outputs.items()} == {n: a.dtype for n, a in full.items()}


def test_unix_socket_is_served(habits: _Habits) -> None:
    import grpc

    request = PredictRequest()
    request.model_spec.name = "emotion_ai"
    fill_tensor(request.inputs["images"], np.zeros((1, 96, 96, 1), np.uint8))
    with grpc.insecure_channel(f"unix:{habits.socket}") as channel:
        predict = channel.unary_unary(f"/{PREDICTION_SERVICE}/Predict")
        answer = predict(request.SerializeToString(), timeout=30)
    outputs = PredictResponse.FromString(answer).outputs
    assert read_tensor(outputs["keypoints"]).shape == (1, 15, 2)


def test_base_path_that_is_a_version_is_refused(tmp_path: Path, tiny_saved_model: Path) -> None:
    shutil.copytree(tiny_saved_model, tmp_path / "models" / "1")
    result = emotion_ai("serve", "--port=0", f"--model_base_path={tmp_path}/models/1")
    assert_refused(result, 2, f"{tmp_path}/models/1", "is a version of model default itself")
