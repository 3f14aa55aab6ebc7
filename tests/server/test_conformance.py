"""Predict's rules one by one, with TensorFlow Serving's own stubs over a real socket.

`make conformance` asks them of any running server.
"""

import io
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from support.any_server import MISSING, AnyServer
from support.server_calls import expect_rpc_error, four_face_request, set_model_spec

Change = Callable[[Any], None]


def _images(array: Any) -> Change:
    def change(request: Any) -> None:
        import tensorflow as tf

        request.inputs["images"].CopyFrom(tf.make_tensor_proto(array))

    return change


def _tensor(**fields: Any) -> Change:
    """Set the input to a TensorProto with these fields; `shape` is its dimensions."""

    def change(request: Any) -> None:
        from tensorflow.core.framework.tensor_pb2 import TensorProto

        proto = TensorProto(dtype=fields.pop("dtype", 4))
        for size in fields.pop("shape", ()):
            proto.tensor_shape.dim.add(size=size)
        for name, value in fields.items():
            if isinstance(value, list):
                getattr(proto, name).extend(value)
            else:
                setattr(proto, name, value)
        request.inputs["images"].CopyFrom(proto)

    return change


def _spec(**fields: Any) -> Change:
    return lambda request: set_model_spec(request, fields)


def _filter(*aliases: str) -> Change:
    return lambda request: request.output_filter.extend(aliases)


def _rename_input(request: Any) -> None:
    request.inputs["pictures"].CopyFrom(request.inputs.pop("images"))


def _add_input(request: Any) -> None:
    request.inputs["more"].CopyFrom(request.inputs["images"])


FACE = np.zeros((1, 96, 96, 1), np.uint8)
ROW = 96 * 96

INVALID_REQUESTS: dict[str, tuple[Change, str, str]] = {
    "no model_spec": (
        lambda request: request.ClearField("model_spec"),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no name": (_spec(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (
        _spec(name="other"),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown version": (
        _spec(version=MISSING),
        "NOT_FOUND",
        f"Servable not found for request: Specific(emotion_ai, {MISSING})",
    ),
    "a version below zero": (_spec(version=-1), "NOT_FOUND", "Specific(emotion_ai, -1)"),
    "unknown label": (
        _spec(version_label="canary"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    ),
    "unknown signature": (
        _spec(signature_name="classify"),
        "FAILED_PRECONDITION",
        'Serving signature key "classify" not found.',
    ),
    "no input": (
        lambda request: request.inputs.clear(),
        "INVALID_ARGUMENT",
        "input size does not match signature: 0!=1 len({}) != len({images}). Sent extra: {}. "
        "Missing but required: {images}.",
    ),
    "one input too many": (
        _add_input,
        "INVALID_ARGUMENT",
        "Sent extra: {more}. Missing but required: {}.",
    ),
    "an input of another name": (
        _rename_input,
        "INVALID_ARGUMENT",
        "Signature input alias: images(feed name: serving_default_images:0) not found in request "
        "and no default value provided. Inputs expected to be in the request {pictures}",
    ),
    "wrong type": (
        _images(FACE.astype(np.float32)),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be uint8 but float is provided",
    ),
    "no type": (
        _tensor(dtype=0, shape=(1, 96, 96, 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too few bytes": (
        _tensor(shape=(1, 96, 96, 1), tensor_content=b"short"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too many bytes": (
        _tensor(shape=(1, 96, 96, 1), tensor_content=bytes(ROW + 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too many values": (
        _tensor(shape=(1, 96, 96, 1), int_val=[0] * (ROW + 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "a dimension below zero": (
        _tensor(shape=(-1, 96, 96, 1), tensor_content=bytes(ROW)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more elements than a number counts": (
        _tensor(shape=(1 << 62, 1 << 62, 1 << 62, 1 << 62), tensor_content=b"\0"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more dimensions than a tensor has": (
        _tensor(shape=(1,) * 300, tensor_content=b"\0"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    # Headers are small: a long message would come as another error, or as none.
    "an unknown model of a long name": (_spec(name="ä" * 30_000), "NOT_FOUND", "Latest(ää"),
    "an unknown signature of a long name": (
        _spec(signature_name="s" * 60_000),
        "FAILED_PRECONDITION",
        'Serving signature key "sss',
    ),
    "an unknown output of a long name": (
        _filter("o" * 60_000),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: ooo",
    ),
    "unknown output": (
        _filter("mood"),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: mood Outputs expected to be in the set {",
    ),
    "an output twice": (
        _filter("emotion", "emotion"),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: emotion",
    ),
}

# Another server names other shapes, orders names in another way, or would allocate.
OWN_RULES: dict[str, tuple[Change, str, str]] = {
    "wrong rank": (_images(FACE[0]), "INVALID_ARGUMENT", "[96,96,1]"),
    "wrong inner dimension": (_images(FACE[:, ::2, ::2]), "INVALID_ARGUMENT", "[1,48,48,1]"),
    "terabytes of one value": (
        _tensor(shape=(1 << 30, 96, 96, 1), int_val=[0]),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more rows than a request may have": (
        _tensor(shape=(1025, 96, 96, 1), int_val=[0]),
        "INVALID_ARGUMENT",
        "Task size 1025 is larger than maximum input batch size 1024",
    ),
    "one input too many, in full": (
        _add_input,
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=1 len({images,more}) != len({images}). "
        "Sent extra: {more}. Missing but required: {}.",
    ),
    "unknown output, in full": (
        _filter("mood"),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: mood Outputs expected to be in the set "
        "{emotion,emotion_labels,emotion_probabilities,keypoints}.",
    ),
}


@pytest.mark.parametrize("rule", [*INVALID_REQUESTS, *OWN_RULES])
def test_predict_rejects_invalid_requests(any_server: AnyServer, rule: str) -> None:
    if any_server.is_remote and rule in OWN_RULES:
        pytest.skip("a rule of the embedded server alone")
    change, code, message = {**INVALID_REQUESTS, **OWN_RULES}[rule]
    request = four_face_request()
    change(request)
    status, details = expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))
    assert status.name == code
    assert message in details


def test_predict_checks_in_tensorflow_serving_order(any_server: AnyServer) -> None:
    """Of several mistakes, the error names the one that TensorFlow Serving finds first."""
    request = four_face_request(signature_name="classify", version=MISSING)
    _filter("mood")(request)
    _add_input(request)
    for field, message in (("version", "Specific"), ("signature_name", "classify"), (None, "size")):
        assert (
            message in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
        )
        if field:
            request.model_spec.ClearField(field)
    del request.inputs["more"]
    _images(FACE[0].astype(np.float32))(request)
    assert "mood" in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
    del request.output_filter[:]
    assert (
        "Expects arg[0]"
        in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
    )


def _outputs(server: AnyServer, change: Change) -> dict[str, Any]:
    import tensorflow as tf

    request = four_face_request()
    change(request)
    outputs = server.predict.Predict(request, timeout=60).outputs
    return {name: tf.make_ndarray(proto) for name, proto in outputs.items()}


LEVELS = np.full((2, 96, 96, 1), 245, np.uint8)
ENCODINGS: dict[str, Change] = {
    "tensor_content": _tensor(shape=LEVELS.shape, tensor_content=LEVELS.tobytes()),
    "a value for each element": _tensor(shape=LEVELS.shape, int_val=LEVELS.ravel().tolist()),
    "one value for all": _tensor(shape=LEVELS.shape, int_val=[245]),
    "the last value is repeated": _tensor(shape=LEVELS.shape, int_val=[245, 245]),
    "an empty signature name": lambda request: (
        _images(LEVELS)(request),
        _spec(signature_name="")(request),
    ),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_predict_reads_every_tensor_encoding(any_server: AnyServer, encoding: str) -> None:
    expected = _outputs(any_server, _images(LEVELS))
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
    together = _outputs(any_server, _images(faces))
    for number in (0, 31, 63):
        alone = _outputs(any_server, _images(faces[number : number + 1]))
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
    _images(FACE[:0])(request)
    outputs = any_server.predict.Predict(request, timeout=30).outputs
    full = _outputs(any_server, _images(FACE))
    assert {name: tf.make_ndarray(proto).shape for name, proto in outputs.items()} == {
        name: (0, *array.shape[1:]) for name, array in full.items()
    }
    assert full["keypoints"].shape == (1, 15, 2)
    assert full["emotion_labels"].shape == full["emotion_probabilities"].shape


def test_output_filter_selects_outputs(any_server: AnyServer) -> None:
    request = four_face_request()
    _filter("keypoints", "emotion")(request)
    assert set(any_server.predict.Predict(request, timeout=30).outputs) == {
        "emotion",
        "keypoints",
    }


def test_reload_is_the_one_method_that_this_server_refuses(any_server: AnyServer) -> None:
    """`test_reload_rights` has the rules; see "What is different" in components/server."""
    if any_server.is_remote:
        pytest.skip("TensorFlow Serving reloads, and nothing on the server is to change")
    from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="m", base_path="/m", model_platform="tensorflow"
    )
    status, _ = expect_rpc_error(
        lambda: any_server.models.HandleReloadConfigRequest(request, timeout=30)
    )
    assert status == grpc.StatusCode.PERMISSION_DENIED


def test_unknown_method_is_unimplemented(any_server: AnyServer) -> None:
    call = any_server.channel.unary_unary("/tensorflow.serving.PredictionService/Guess")
    assert expect_rpc_error(lambda: call(b"", timeout=30))[0] == grpc.StatusCode.UNIMPLEMENTED
    call = any_server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    # Not a protobuf message.
    assert expect_rpc_error(lambda: call(b"\xff\xff", timeout=30))[0] == grpc.StatusCode.INTERNAL
