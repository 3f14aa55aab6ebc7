"""What a server with TensorFlow Serving's flags and files does: TLS, batching, folders, labels."""

import io
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
from PIL import Image

from support.server_calls import eventually, refused
from support.server_with_flags import Flagged, asked, level_faces, tls_channel


def test_only_a_client_with_a_certificate_of_the_authority_is_answered(flagged: Flagged) -> None:
    request = asked("tiny", level_faces(1))
    assert flagged.predict.Predict(request, timeout=30).model_spec.version.value == 1
    for client in (None, flagged.certificates.stranger):
        with tls_channel(flagged.address, flagged.certificates, client) as channel:
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
    outputs = flagged.predict.Predict(asked("faces", images), timeout=60).outputs
    for name in ("keypoints", "emotion_probabilities"):
        np.testing.assert_allclose(tf.make_ndarray(outputs[name]), expected[name], rtol=1e-4)


def test_a_message_over_the_limit_is_refused(flagged: Flagged) -> None:
    request = asked("tiny", level_faces(200))
    code, details = refused(lambda: flagged.predict.Predict(request, timeout=30))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in details


def test_requests_in_one_batch_get_their_own_answers(flagged: Flagged) -> None:
    levels = [20 * k for k in range(12)]

    def ask(level: int) -> float:
        response = flagged.predict.Predict(asked("tiny", level_faces(1, level)), timeout=60)
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
        request = asked("faces", np.array([picture], object), signature_name="encoded")
        try:
            return flagged.predict.Predict(request, timeout=60).outputs["emotion"].dtype
        except grpc.RpcError as error:
            return error.code().name

    pictures = [buffer.getvalue(), b"no picture", buffer.getvalue(), buffer.getvalue()]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, pictures)) == [7, "INVALID_ARGUMENT", 7, 7]


def test_a_request_larger_than_a_batch_is_invalid(flagged: Flagged) -> None:
    code, details = refused(
        lambda: flagged.predict.Predict(asked("tiny", level_faces(5)), timeout=9)
    )
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "Task size 5 is larger than maximum input batch size 4" in details


def test_a_full_queue_refuses_at_once(flagged: Flagged) -> None:
    request = asked("slow", level_faces(4))

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
    request = asked("slow", level_faces(4))
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
    request = asked("faces", bombs, signature_name="encoded")

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

    from support.tiny_saved_model import write_saved_model

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
    assert ask(asked("tiny", level_faces(1)), timeout=30).model_spec.version.value == 3
    labelled = asked("tiny", level_faces(1), version_label="next")
    assert ask(labelled, timeout=30).model_spec.version.value == 3
    gone = asked("tiny", level_faces(1), version_label="stable")
    code, details = refused(lambda: ask(gone, timeout=30))
    assert (code, details) == (
        grpc.StatusCode.NOT_FOUND,
        "Servable not found for request: Specific(tiny, 1)",
    )


def test_a_folder_that_is_deleted_stops_nothing(flagged: Flagged) -> None:
    shutil.rmtree(flagged.folder / "tiny")
    eventually(lambda: "Could not find base path" in flagged.log.read_text())
    assert flagged.predict.Predict(asked("tiny", level_faces(1)), timeout=30).outputs
