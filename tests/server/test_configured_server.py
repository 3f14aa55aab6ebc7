"""A server with TensorFlow Serving's flags and files: TLS, batching, versions, labels."""

import io
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
from PIL import Image

from support.server_calls import eventually, expect_rpc_error
from support.server_with_flags import ConfiguredServer, image_request, tls_channel, uniform_faces


def test_server_requires_a_trusted_client_certificate(configured_server: ConfiguredServer) -> None:
    request = image_request("tiny", uniform_faces(1))
    assert configured_server.predict.Predict(request, timeout=30).model_spec.version.value == 1
    for client in (None, configured_server.certificates.untrusted_client):
        with tls_channel(
            configured_server.address, configured_server.certificates, client
        ) as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            code = expect_rpc_error(lambda c=call: c(request.SerializeToString(), timeout=30))[0]
            assert code == grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(configured_server.address) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        code = expect_rpc_error(lambda: call(request.SerializeToString(), timeout=30))[0]
        assert code == grpc.StatusCode.UNAVAILABLE


def test_predict_uses_the_saved_weights(configured_server: ConfiguredServer) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(configured_server.folder / "faces" / "1"))
    images = np.random.default_rng(2).integers(0, 256, (3, 96, 96, 1), np.uint8)
    expected = loaded.signatures["serving_default"](images=tf.constant(images))
    outputs = configured_server.predict.Predict(image_request("faces", images), timeout=60).outputs
    for name in ("keypoints", "emotion_probabilities"):
        np.testing.assert_allclose(tf.make_ndarray(outputs[name]), expected[name], rtol=1e-4)


def test_predict_rejects_messages_over_the_limit(configured_server: ConfiguredServer) -> None:
    request = image_request("tiny", uniform_faces(200))
    code, details = expect_rpc_error(lambda: configured_server.predict.Predict(request, timeout=30))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_batched_requests_get_their_own_outputs(configured_server: ConfiguredServer) -> None:
    levels = [20 * k for k in range(12)]

    def predict(level: int) -> float:
        response = configured_server.predict.Predict(
            image_request("tiny", uniform_faces(1, level)), timeout=60
        )
        assert len(response.outputs["keypoints"].float_val) == 30
        return float(response.outputs["keypoints"].float_val[0])

    # More would not fit into the queue.
    with ThreadPoolExecutor(6) as pool:
        points = list(pool.map(predict, levels))
    np.testing.assert_allclose(points, [11 + level / 255 for level in levels], atol=1e-3)


def test_batch_isolates_an_invalid_image(configured_server: ConfiguredServer) -> None:
    buffer = io.BytesIO()
    Image.new("L", (60, 80), 245).save(buffer, "PNG")

    def predict(image: bytes) -> str:
        request = image_request("faces", np.array([image], object), signature_name="encoded")
        try:
            return configured_server.predict.Predict(request, timeout=60).outputs["emotion"].dtype
        except grpc.RpcError as error:
            return error.code().name

    images = [buffer.getvalue(), b"not an image", buffer.getvalue(), buffer.getvalue()]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(predict, images)) == [7, "INVALID_ARGUMENT", 7, 7]


def test_predict_rejects_request_larger_than_a_batch(configured_server: ConfiguredServer) -> None:
    code, details = expect_rpc_error(
        lambda: configured_server.predict.Predict(
            image_request("tiny", uniform_faces(5)), timeout=9
        )
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Task size 5 is larger than maximum input batch size 4" in details


def test_full_queue_rejects_requests(configured_server: ConfiguredServer) -> None:
    request = image_request("slow", uniform_faces(4))

    def predict(_: int) -> tuple[str, str]:
        try:
            configured_server.predict.Predict(request, timeout=120)
        except grpc.RpcError as error:
            return error.code().name, error.details()
        return "OK", ""

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(predict, range(8)))
    codes = [code for code, _ in outcomes]
    assert set(codes) == {"OK", "UNAVAILABLE"}
    # One runs and two wait; more if a batch finished before the last call.
    assert 3 <= codes.count("OK") <= 5
    assert {d for code, d in outcomes if code != "OK"} == {
        "The batch scheduling queue to which this task was submitted is full; currently 2 batches "
        "enqueued and max_enqueued_batches is 2"
    }


def test_expired_and_cancelled_requests_are_not_run(configured_server: ConfiguredServer) -> None:
    def runs() -> int:
        return configured_server.log.read_text().count("under way")

    before = runs()
    request = image_request("slow", uniform_faces(4))
    first = configured_server.predict.Predict.future(request, timeout=120)
    eventually(lambda: runs() == before + 1)
    expired = configured_server.predict.Predict.future(request, timeout=0.1)
    cancelled = configured_server.predict.Predict.future(request, timeout=120)
    assert expired.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    cancelled.cancel()
    assert first.code() == grpc.StatusCode.OK

    def is_answered() -> bool:
        call = configured_server.predict.Predict.future(request, timeout=120)
        # The caller may be faster than the thread that drops the others from the full queue.
        assert call.code() in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
        return call.code() == grpc.StatusCode.OK

    eventually(is_answered)
    assert runs() == before + 2


def test_image_bomb_is_rejected_without_memory(configured_server: ConfiguredServer) -> None:
    buffer = io.BytesIO()
    Image.new("1", (11_000, 11_000)).save(buffer, "PNG")
    bombs = np.array([buffer.getvalue()] * 4, object)
    request = image_request("faces", bombs[:1], signature_name="encoded")

    def peak_kilobytes() -> int:
        status = Path(f"/proc/{configured_server.process_id}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    before = peak_kilobytes()
    for _ in range(5):
        code, details = expect_rpc_error(
            lambda: configured_server.predict.Predict(request, timeout=60)
        )
        assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert "1 to 4096 pixels a side" in details
    request = image_request("faces", bombs, signature_name="encoded")
    details = expect_rpc_error(lambda: configured_server.predict.Predict(request, timeout=60))[1]
    assert details == "pictures of 484000000 pixels in one request; at most 134217728 are decoded"
    # A single decoded image would take 480 MB while it is resized.
    assert peak_kilobytes() - before < 200 << 10


def test_poller_follows_folder_versions_and_labels(
    configured_server: ConfiguredServer,
) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    from support.tiny_saved_model import write_saved_model

    request = GetModelStatusRequest()
    request.model_spec.name = "tiny"

    def states() -> list[tuple[int, int]]:
        statuses = configured_server.models.GetModelStatus(request, timeout=30).model_version_status
        return [(status.version, status.state) for status in statuses]

    for number in (2, 3):
        staged = write_saved_model(
            configured_server.folder / f"staged-{number}", shift=float(number)
        )
        staged.rename(configured_server.folder / "tiny" / str(number))
    # The newest first, as TensorFlow Serving lists them; 30 is AVAILABLE, 50 END.
    eventually(lambda: states()[:2] == [(3, 30), (2, 30)] and states()[-1] == (1, 50))
    predict = configured_server.predict.Predict
    assert (
        predict(image_request("tiny", uniform_faces(1)), timeout=30).model_spec.version.value == 3
    )
    labelled = image_request("tiny", uniform_faces(1), version_label="next")
    assert predict(labelled, timeout=30).model_spec.version.value == 3
    unavailable = image_request("tiny", uniform_faces(1), version_label="stable")
    code, details = expect_rpc_error(lambda: predict(unavailable, timeout=30))
    assert (code, details) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(tiny, 1)",
    )


def test_deleted_folder_keeps_versions_loaded(configured_server: ConfiguredServer) -> None:
    shutil.rmtree(configured_server.folder / "tiny")
    eventually(lambda: "Could not find base path" in configured_server.log.read_text())
    assert configured_server.predict.Predict(
        image_request("tiny", uniform_faces(1)), timeout=30
    ).outputs
