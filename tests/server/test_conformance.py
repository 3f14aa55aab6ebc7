"""What Predict answers, rule by rule, with TensorFlow Serving's own stubs over a real socket.

`make conformance` asks them of any running server.
"""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.any_server import AnyServer
from support.predict_changes import FACE, Change, images, output_filter, spec, tensor
from support.server_calls import four_face_request


def _outputs(server: AnyServer, change: Change) -> dict[str, Any]:
    import tensorflow as tf

    request = four_face_request()
    change(request)
    outputs = server.predict.Predict(request, timeout=60).outputs
    return {name: tf.make_ndarray(proto) for name, proto in outputs.items()}


LEVELS = np.full((2, 96, 96, 1), 245, np.uint8)
ENCODINGS: dict[str, Change] = {
    "tensor_content": tensor(shape=LEVELS.shape, tensor_content=LEVELS.tobytes()),
    "a value for each element": tensor(shape=LEVELS.shape, int_val=LEVELS.ravel().tolist()),
    "one value for all": tensor(shape=LEVELS.shape, int_val=[245]),
    "the last value is repeated": tensor(shape=LEVELS.shape, int_val=[245, 245]),
    "an empty signature name": lambda request: (
        images(LEVELS)(request),
        spec(signature_name="")(request),
    ),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_predict_reads_every_tensor_encoding(any_server: AnyServer, encoding: str) -> None:
    expected = _outputs(any_server, images(LEVELS))
    outputs = _outputs(any_server, ENCODINGS[encoding])
    assert outputs.keys() == expected.keys()
    np.testing.assert_allclose(outputs["keypoints"], expected["keypoints"], atol=1e-3)
    assert outputs["emotion"].tolist() == expected["emotion"].tolist()


def test_predict_answers_by_the_version_that_was_asked(any_server: AnyServer) -> None:
    request = four_face_request(version=any_server.version)
    response = any_server.predict.Predict(request, timeout=30)
    assert response.model_spec.version.value == any_server.version
    assert response.model_spec.signature_name == "serving_default"


def test_faces_have_the_same_answers_alone_and_together(any_server: AnyServer) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (64, 96, 96, 1), np.uint8)
    together = _outputs(any_server, images(faces))
    for number in (0, 31, 63):
        alone = _outputs(any_server, images(faces[number : number + 1]))
        for name in ("keypoints", "emotion_probabilities"):
            np.testing.assert_allclose(alone[name][0], together[name][number], atol=1e-2)


def test_pictures_have_the_answers_of_their_pixels(any_server: AnyServer) -> None:
    face = np.random.default_rng(1).integers(0, 256, (96, 96), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, "PNG")
    encoded = any_server.client.predict_encoded([buffer.getvalue()])
    pixels = any_server.client.predict_arrays(face[None, ..., None])
    np.testing.assert_allclose(encoded.outputs["keypoints"], pixels.outputs["keypoints"], atol=1e-2)


def test_predict_of_empty_batch_returns_empty_outputs(any_server: AnyServer) -> None:
    import tensorflow as tf

    if any_server.is_remote:
        pytest.skip("convolutions refuse an empty batch in some builds of TensorFlow")
    request = four_face_request()
    images(FACE[:0])(request)
    outputs = any_server.predict.Predict(request, timeout=30).outputs
    full = _outputs(any_server, images(FACE))
    assert {name: tf.make_ndarray(proto).shape for name, proto in outputs.items()} == {
        name: (0, *array.shape[1:]) for name, array in full.items()
    }
    assert full["keypoints"].shape == (1, 15, 2)
    assert full["emotion_labels"].shape == full["emotion_probabilities"].shape


def test_output_filter_selects_outputs(any_server: AnyServer) -> None:
    request = four_face_request()
    output_filter("keypoints", "emotion")(request)
    assert set(any_server.predict.Predict(request, timeout=30).outputs) == {
        "emotion",
        "keypoints",
    }
