"""Predictions, metadata and health of the embedded server, over a real socket."""

import io
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from PIL import Image

from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.keypoints import NAMES

from support.server_calls import RunningServer, eventually, four_face_request, get_health


def test_predict_returns_every_output_and_the_version(server: RunningServer) -> None:
    import tensorflow as tf

    from support.tiny_saved_model import LABELS

    response = server.predict.Predict(four_face_request(), timeout=30)
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
    # Clients of TensorFlow Serving commonly read only the field of the type.
    assert len(response.outputs["keypoints"].float_val) == 4 * 15 * 2


def test_encoded_signature_decodes_images(server: RunningServer) -> None:
    images = []
    for kind in ("PNG", "JPEG"):
        buffer = io.BytesIO()
        Image.new("L", (60, 80), 245).save(buffer, kind)
        images.append(buffer.getvalue())
    response = server.client.predict_encoded(images)
    assert list(response.outputs["emotion"]) == [b"neutral", b"neutral"]
    with pytest.raises(InputError, match=server.address):
        server.client.predict_encoded([b"not an image"])


def test_predict_many_returns_keypoints_in_image_coordinates(
    server: RunningServer, tmp_path: Path
) -> None:
    files = [tmp_path / f"{k}.png" for k in range(70)]
    for path in files:
        Image.new("L", (192, 48), 0).save(path)
    with Client(server.address, faces="whole") as client:
        results = list(client.predict_many(files))
    assert [result.source for result in results] == [str(path) for path in files]
    (face,) = results[0].faces
    assert (face.emotion, face.model_version) == ("angry", 1)
    assert max(face.probabilities, key=face.probabilities.__getitem__) == "angry"
    # The model's (11, 20) in a frame of 96x96 pixels, with whole numbers at pixel centres.
    np.testing.assert_allclose(face.keypoints[NAMES.index("nose_tip")], [22.5, 9.75], atol=1e-3)


def test_get_model_metadata_returns_signatures(server: RunningServer) -> None:
    from tensorflow_serving.apis import get_model_metadata_pb2 as metadata

    request = metadata.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "emotion_ai"
    response = server.predict.GetModelMetadata(request, timeout=30)
    signatures = metadata.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert response.model_spec.version.value == 1
    images = signatures.signature_def["serving_default"].inputs["images"]
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, 96, 96, 1]
    assert "image_bytes" in signatures.signature_def["encoded"].inputs


def test_client_names_unavailable_version(server: RunningServer) -> None:
    assert server.client.model_status(7) == {}
    with pytest.raises(Unavailable, match="7"):
        server.client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8), version=7)


def test_health_reports_serving(server: RunningServer) -> None:
    serving = health_pb2.HealthCheckResponse.SERVING
    eventually(lambda: get_health(server.address) == serving)
    assert get_health(server.address, "tensorflow.serving.PredictionService") == serving


def test_no_caller_runs_the_models_own_operations(server: RunningServer) -> None:
    request = four_face_request()
    request.model_spec.signature_name = "__saved_model_init_op"
    request.inputs.clear()
    with pytest.raises(grpc.RpcError) as refused:
        server.predict.Predict(request, timeout=30)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
