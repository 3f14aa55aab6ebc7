"""A server started with TensorFlow Serving's own flags and files: TLS, batching, REST, metrics."""

import contextlib
import http.client
import io
import json
import re
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from asking import eventually, refused
from certificates import Certificates, make_certificates
from PIL import Image

from components.serve.process import server_process

MODELS = """
model_config_list {{
  config {{
    name: "tiny" base_path: "{folder}/tiny" model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "next" value: 3 }}
  }}
  config {{ name: "slow" base_path: "{folder}/slow" model_platform: "tensorflow" }}
  config {{ name: "faces" base_path: "{folder}/faces" model_platform: "tensorflow" }}
}}
"""
BATCHING = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 20000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 1
allowed_batch_sizes: 4
"""


class Flagged(NamedTuple):
    """The server, and a stub of each service over mutual TLS."""

    address: str
    folder: Path
    log: Path
    rest: str
    process_id: int
    certificates: Certificates
    predict: Any
    models: Any


def _quoted(text: str) -> str:
    return json.dumps(text)


def _write_files(folder: Path, certificates: Certificates) -> None:
    (folder / "models.config").write_text(MODELS.format(folder=folder))
    (folder / "batching.config").write_text(BATCHING)
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    (folder / "ssl.config").write_text(
        f"server_key: {_quoted(certificates.server.key)}\n"
        f"server_cert: {_quoted(certificates.server.certificate)}\n"
        f"custom_ca: {_quoted(certificates.authority)}\n"
        "client_verify: true\n"
    )


def _channel(address: str, certificates: Certificates, client: Any) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        certificates.authority.encode(),
        client.key.encode() if client else None,
        client.certificate.encode() if client else None,
    )
    return grpc.secure_channel(address, credentials)


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flagged]:
    from face_model import write_face_model
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
    from tiny_model import write_saved_model, write_slow_model

    folder = tmp_path_factory.mktemp("flagged")
    certificates = make_certificates()
    _write_files(folder, certificates)
    write_saved_model(folder / "tiny" / "1", shift=1.0)
    write_slow_model(folder / "slow" / "1")
    write_face_model(folder / "faces" / "1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        rest = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [
        "--port=0",
        f"--rest_api_port={rest.partition(':')[2]}",
        f"--model_config_file={folder}/models.config",
        "--file_system_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching.config",
        f"--monitoring_config_file={folder}/monitoring.config",
        f"--ssl_config_file={folder}/ssl.config",
        "--grpc_channel_arguments=grpc.max_receive_message_length=1000000",
        "--flush_filesystem_caches=false",
    ]
    log = folder / "server.log"
    with (
        server_process(flags, log) as (address, process),
        _channel(address, certificates, certificates.client) as channel,
    ):
        eventually(lambda: log.read_text().count(" answers: ") == 3)
        yield Flagged(
            address,
            folder,
            log,
            rest,
            process.pid,
            certificates,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def _request(model: str, images: Any, **spec: Any) -> Any:
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name = model
    for name, value in spec.items():
        setattr(request.model_spec, name, value)
    alias = "image_bytes" if spec.get("signature_name") == "encoded" else "images"
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(images))
    return request


def _faces(count: int, level: int = 245) -> Any:
    return np.full((count, 96, 96, 1), level, np.uint8)


def test_only_a_client_with_a_certificate_of_the_authority_is_answered(flagged: Flagged) -> None:
    request = _request("tiny", _faces(1))
    assert flagged.predict.Predict(request, timeout=30).model_spec.version.value == 1
    for client in (None, flagged.certificates.stranger):
        with _channel(flagged.address, flagged.certificates, client) as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            code = refused(lambda c=call: c(request.SerializeToString(), timeout=30))[0]
            assert code == grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(flagged.address) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        code = refused(lambda: call(request.SerializeToString(), timeout=30))[0]
        assert code == grpc.StatusCode.UNAVAILABLE


def test_the_answers_are_those_of_the_weights_in_the_release(flagged: Flagged) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(flagged.folder / "faces" / "1"))
    images = np.random.default_rng(2).integers(0, 256, (3, 96, 96, 1), np.uint8)
    expected = loaded.signatures["serving_default"](images=tf.constant(images))
    outputs = flagged.predict.Predict(_request("faces", images), timeout=60).outputs
    for name in ("keypoints", "emotion_probabilities"):
        np.testing.assert_allclose(tf.make_ndarray(outputs[name]), expected[name], rtol=1e-4)


def test_a_message_over_the_limit_is_refused(flagged: Flagged) -> None:
    request = _request("tiny", _faces(200))
    code, details = refused(lambda: flagged.predict.Predict(request, timeout=30))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_requests_in_one_batch_get_their_own_answers(flagged: Flagged) -> None:
    levels = [20 * k for k in range(12)]

    def ask(level: int) -> float:
        response = flagged.predict.Predict(_request("tiny", _faces(1, level)), timeout=60)
        assert len(response.outputs["keypoints"].float_val) == 30
        return float(response.outputs["keypoints"].float_val[0])

    # More would not fit into the queue.
    with ThreadPoolExecutor(6) as pool:
        points = list(pool.map(ask, levels))
    np.testing.assert_allclose(points, [11 + level / 255 for level in levels], atol=1e-3)


def test_one_bad_picture_in_a_batch_is_its_senders_alone(flagged: Flagged) -> None:
    buffer = io.BytesIO()
    Image.new("L", (60, 80), 245).save(buffer, "PNG")

    def ask(picture: bytes) -> str:
        request = _request("faces", np.array([picture], object), signature_name="encoded")
        try:
            return flagged.predict.Predict(request, timeout=60).outputs["emotion"].dtype
        except grpc.RpcError as error:
            return error.code().name

    pictures = [buffer.getvalue(), b"no picture", buffer.getvalue(), buffer.getvalue()]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, pictures)) == [7, "INVALID_ARGUMENT", 7, 7]


def test_a_request_larger_than_a_batch_is_invalid(flagged: Flagged) -> None:
    code, details = refused(lambda: flagged.predict.Predict(_request("tiny", _faces(5)), timeout=9))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Task size 5 is larger than maximum input batch size 4" in details


def test_a_full_queue_refuses_at_once(flagged: Flagged) -> None:
    request = _request("slow", _faces(4))

    def ask(_: int) -> tuple[str, str]:
        try:
            flagged.predict.Predict(request, timeout=120)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", ""

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    codes = [code for code, _ in answers]
    assert set(codes) == {"OK", "UNAVAILABLE"}
    # One that runs and two that wait; another where a thread was quicker than the callers.
    assert 3 <= codes.count("OK") <= 5
    assert {d for code, d in answers if code != "OK"} == {
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches "
        "enqueued and max_enqueued_batches is 2"
    }


def test_nobody_works_for_a_caller_who_has_gone(flagged: Flagged) -> None:
    def runs() -> int:
        return flagged.log.read_text().count("under way")

    before = runs()
    request = _request("slow", _faces(4))
    first = flagged.predict.Predict.future(request, timeout=120)
    eventually(lambda: runs() == before + 1)
    late = flagged.predict.Predict.future(request, timeout=0.1)
    gone = flagged.predict.Predict.future(request, timeout=120)
    assert late.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    gone.cancel()
    assert first.code() == grpc.StatusCode.OK
    assert flagged.predict.Predict(request, timeout=120).outputs["steps"].int_val[0] == 3000
    assert runs() == before + 2


def test_an_image_bomb_costs_nothing(flagged: Flagged) -> None:
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    bombs = np.array([buffer.getvalue()] * 4, object)
    request = _request("faces", bombs, signature_name="encoded")

    def peak_kilobytes() -> int:
        status = Path(f"/proc/{flagged.process_id}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    before = peak_kilobytes()
    for _ in range(5):
        code, details = refused(lambda: flagged.predict.Predict(request, timeout=60))
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert "1 to 4096 pixels a side" in details
    # One picture alone would be 900 MB of pixels.
    assert peak_kilobytes() - before < 200 << 10


def test_versions_are_taken_from_the_folder_and_labels_from_the_configuration(
    flagged: Flagged,
) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest
    from tiny_model import write_saved_model

    request = GetModelStatusRequest()
    request.model_spec.name = "tiny"

    def states() -> list[tuple[int, int]]:
        statuses = flagged.models.GetModelStatus(request, timeout=30).model_version_status
        return [(status.version, status.state) for status in statuses]

    for number in (2, 3):
        staged = write_saved_model(flagged.folder / f"staged-{number}", shift=float(number))
        staged.rename(flagged.folder / "tiny" / str(number))
    # The newest first, as TensorFlow Serving lists them; 30 is AVAILABLE, 50 END.
    eventually(lambda: states()[:2] == [(3, 30), (2, 30)] and states()[-1] == (1, 50))
    ask = flagged.predict.Predict
    assert ask(_request("tiny", _faces(1)), timeout=30).model_spec.version.value == 3
    labelled = _request("tiny", _faces(1), version_label="next")
    assert ask(labelled, timeout=30).model_spec.version.value == 3
    gone = _request("tiny", _faces(1), version_label="stable")
    code, details = refused(lambda: ask(gone, timeout=30))
    assert (code, details) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(tiny, 1)",
    )


def test_a_folder_that_is_deleted_stops_nothing(flagged: Flagged) -> None:
    shutil.rmtree(flagged.folder / "tiny")
    eventually(lambda: "Could not find base path" in flagged.log.read_text())
    assert flagged.predict.Predict(_request("tiny", _faces(1)), timeout=30).outputs


def _get(flagged: Flagged, path: str, body: str | None = None) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(flagged.rest, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET" if body is None else "POST", path, body)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()


REST = {
    "/v1/models/faces": (
        200,
        {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        },
    ),
    "/v1/models/other": (404, {"error": "Could not find any versions of model other"}),
    "/v1/models/faces/versions/4": (404, {"error": "Could not find version 4 of model faces"}),
    "/v1/models": (400, {"error": "Missing model name in request."}),
    "/v1/faces": (400, {"error": "Malformed request: GET /v1/faces"}),
}


@pytest.mark.parametrize("path", REST)
def test_rest_tells_the_status(flagged: Flagged, path: str) -> None:
    code, kind, body = _get(flagged, path)
    assert (code, json.loads(body)) == REST[path]
    assert kind == "application/json"


def test_rest_tells_the_signatures_and_leaves_prediction_to_grpc(flagged: Flagged) -> None:
    metadata = json.loads(_get(flagged, "/v1/models/faces/metadata")[2])
    assert metadata["model_spec"]["version"] == "1"
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "encoded"} <= set(signatures)
    code, _, body = _get(flagged, "/v1/models/faces:predict", "{}")
    assert (code, "gRPC" in body) == (501, True)


def test_prometheus_reads_what_was_answered(flagged: Flagged) -> None:
    def metrics() -> dict[str, float]:
        code, kind, page = _get(flagged, "/monitoring/prometheus/metrics")
        assert (code, kind) == (200, "text/plain")
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    labels = 'model_name="faces",version="1"'
    counted = f':tensorflow:serving:request_count{{{labels},status="OK"}}'
    latency = ":tensorflow:serving:request_latency"
    taken = f'{labels},API="Predict",entrypoint="GRPC"'
    before = metrics()
    for _ in range(3):
        flagged.predict.Predict(_request("faces", _faces(1)), timeout=30)
    refused(lambda: flagged.predict.Predict(_request("faces", _faces(1)[0]), timeout=30))
    refused(lambda: flagged.predict.Predict(_request("no such model", _faces(1)), timeout=30))
    after = metrics()
    assert after[counted] - before.get(counted, 0) == 3
    assert after[counted.replace("OK", "INVALID_ARGUMENT")] >= 1
    assert after[f"{latency}_count{{{taken}}}"] == after[counted]
    assert after[f'{latency}_bucket{{{taken},le="+Inf"}}'] == after[counted]
    assert after[f'{latency}_bucket{{{taken},le="10"}}'] == 0
    assert not any("no such model" in name for name in after)
