"""What Predict refuses, rule by rule, with TensorFlow Serving's own stubs over a real socket.

`make conformance` asks them of any running server.
"""

from typing import Any

import grpc
import numpy as np
import pytest

from support.any_server import MISSING, AnyServer
from support.predict_changes import FACE, Change, images, output_filter, spec, tensor
from support.server_calls import expect_rpc_error, four_face_request


def _rename_input(request: Any) -> None:
    request.inputs["pictures"].CopyFrom(request.inputs.pop("images"))


def _add_input(request: Any) -> None:
    request.inputs["more"].CopyFrom(request.inputs["images"])


ROW = 96 * 96

INVALID_REQUESTS: dict[str, tuple[Change, str, str]] = {
    "no model_spec": (
        lambda request: request.ClearField("model_spec"),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "no name": (spec(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (
        spec(name="other"),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown version": (
        spec(version=MISSING),
        "NOT_FOUND",
        f"Servable not found for request: Specific(emotion_ai, {MISSING})",
    ),
    "a version below zero": (spec(version=-1), "NOT_FOUND", "Specific(emotion_ai, -1)"),
    "unknown label": (
        spec(version_label="canary"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    ),
    "unknown signature": (
        spec(signature_name="classify"),
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
        images(FACE.astype(np.float32)),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be uint8 but float is provided",
    ),
    "no type": (
        tensor(dtype=0, shape=(1, 96, 96, 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too few bytes": (
        tensor(shape=(1, 96, 96, 1), tensor_content=b"short"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too many bytes": (
        tensor(shape=(1, 96, 96, 1), tensor_content=bytes(ROW + 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "too many values": (
        tensor(shape=(1, 96, 96, 1), int_val=[0] * (ROW + 1)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "a dimension below zero": (
        tensor(shape=(-1, 96, 96, 1), tensor_content=bytes(ROW)),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more elements than a number counts": (
        tensor(shape=(1 << 62, 1 << 62, 1 << 62, 1 << 62), tensor_content=b"\0"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more dimensions than a tensor has": (
        tensor(shape=(1,) * 300, tensor_content=b"\0"),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    # Headers are small: a long message would come as another error, or as none.
    "an unknown model of a long name": (spec(name="ä" * 30_000), "NOT_FOUND", "Latest(ää"),
    "an unknown signature of a long name": (
        spec(signature_name="s" * 60_000),
        "FAILED_PRECONDITION",
        'Serving signature key "sss',
    ),
    "an unknown output of a long name": (
        output_filter("o" * 60_000),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: ooo",
    ),
    "unknown output": (
        output_filter("mood"),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: mood Outputs expected to be in the set {",
    ),
    "an output twice": (
        output_filter("emotion", "emotion"),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: emotion",
    ),
}

# Another server names other shapes, orders names in another way, or would allocate.
OWN_RULES: dict[str, tuple[Change, str, str]] = {
    "wrong rank": (images(FACE[0]), "INVALID_ARGUMENT", "[96,96,1]"),
    "wrong inner dimension": (images(FACE[:, ::2, ::2]), "INVALID_ARGUMENT", "[1,48,48,1]"),
    "terabytes of one value": (
        tensor(shape=(1 << 30, 96, 96, 1), int_val=[0]),
        "INVALID_ARGUMENT",
        "tensor parsing error: images",
    ),
    "more rows than a request may have": (
        tensor(shape=(1025, 96, 96, 1), int_val=[0]),
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
        output_filter("mood"),
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
    output_filter("mood")(request)
    _add_input(request)
    for field, message in (("version", "Specific"), ("signature_name", "classify"), (None, "size")):
        assert (
            message in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
        )
        if field:
            request.model_spec.ClearField(field)
    del request.inputs["more"]
    images(FACE[0].astype(np.float32))(request)
    assert "mood" in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
    del request.output_filter[:]
    assert (
        "Expects arg[0]"
        in expect_rpc_error(lambda: any_server.predict.Predict(request, timeout=30))[1]
    )


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
