"""The answers of the embedded server to TensorFlow Serving's own stubs, over a real socket."""

import io
from pathlib import Path

import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from PIL import Image

from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.keypoints import NAMES

from support.server_calls import Running, eventually, health_of, request_for


def test_predict_answers_with_every_output_and_its_version(running: Running) -> None:
    import tensorflow as tf

    from support.tiny_saved_model import LABELS

    response = running.predict.Predict(request_for(), timeout=30)
    assert response.model_spec.name == "emotion_ai"
    assert response.model_spec.version.value == 1
    assert response.model_spec.signature_name == "serving_default"
    outputs = {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}
    assert {name: array.shape for name, array in outputs.items()} == {
        "keypoints": (4, 15, 2),
        "emotion_probabilities": (4, 7),
        "emotion": (4,),
        "emotion_labels": (4, 7),
    }
    assert list(outputs["emotion"]) == [b"angry", b"fear", b"sad", b"neutral"]
    assert [label.decode() for label in outputs["emotion_labels"][0]] == list(LABELS)
    np.testing.assert_allclose(outputs["keypoints"][0, 0], [11 + 10 / 255, 20], atol=1e-4)
    np.testing.assert_allclose(outputs["emotion_probabilities"].sum(axis=1), 1, atol=1e-5)
    # Clients of TensorFlow Serving commonly read the field of the type.
    assert len(response.outputs["keypoints"].float_val) == 4 * 15 * 2


def test_the_encoded_signature_reads_pictures(running: Running) -> None:
    pictures = []
    for kind in ("PNG", "JPEG"):
        buffer = io.BytesIO()
        Image.new("L", (60, 80), 245).save(buffer, kind)
        pictures.append(buffer.getvalue())
    answer = running.client.predict_encoded(pictures)
    assert list(answer.outputs["emotion"]) == [b"neutral", b"neutral"]
    with pytest.raises(InputError, match=running.address):
        running.client.predict_encoded([b"no picture"])


def test_files_are_answered_in_their_own_pixels(running: Running, tmp_path: Path) -> None:
    files = [tmp_path / f"{k}.png" for k in range(70)]
    for path in files:
        Image.new("L", (192, 48), 0).save(path)
    with Client(running.address, faces="whole") as client:
        results = list(client.predict_many(files))
    assert [result.source for result in results] == [str(path) for path in files]
    (face,) = results[0].faces
    assert (face.emotion, face.model_version) == ("angry", 1)
    assert max(face.probabilities, key=face.probabilities.__getitem__) == "angry"
    # (11, 20) of 96x96, where pixel centres are whole numbers.
    np.testing.assert_allclose(face.keypoints[NAMES.index("nose_tip")], [22.5, 9.75], atol=1e-3)


def test_metadata_tells_the_signatures(running: Running) -> None:
    from tensorflow_serving.apis import get_model_metadata_pb2 as metadata

    request = metadata.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "emotion_ai"
    response = running.predict.GetModelMetadata(request, timeout=30)
    signatures = metadata.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 1
    images = signatures.signature_def["serving_default"].inputs["images"]
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, 96, 96, 1]
    assert "image_bytes" in signatures.signature_def["encoded"].inputs


def test_the_client_names_a_version_that_is_not_served(running: Running) -> None:
    assert running.client.model_status(7) == {}
    with pytest.raises(Unavailable, match="7"):
        running.client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8), version=7)


def test_health_tells_that_requests_are_answered(running: Running) -> None:
    serving = health_pb2.HealthCheckResponse.SERVING
    eventually(lambda: health_of(running.address) == serving)
    assert health_of(running.address, "tensorflow.serving.PredictionService") == serving
