"""GetModelMetadata and GetModelStatus: TensorFlow Serving's status codes and messages."""

import grpc
import pytest

from support.any_server import MISSING, AnyServer
from support.server_calls import expect_rpc_error, set_model_spec

INVALID_METADATA_REQUESTS = {
    "no field": ([], {}, "INVALID_ARGUMENT", "must specify at least one metadata_field"),
    "another field": (
        ["signature_def", "weights"],
        {},
        "INVALID_ARGUMENT",
        "Metadata field weights is not supported",
    ),
    "unknown model": (["signature_def"], {"name": "other"}, "NOT_FOUND", "Latest(other)"),
    "unknown version": (
        ["signature_def"],
        {"version": MISSING},
        "NOT_FOUND",
        f"Specific(emotion_ai, {MISSING})",
    ),
}


@pytest.mark.parametrize("rule", INVALID_METADATA_REQUESTS)
def test_get_model_metadata_rejects_invalid_requests(any_server: AnyServer, rule: str) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest

    fields, spec, code, message = INVALID_METADATA_REQUESTS[rule]
    request = GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "emotion_ai"
    set_model_spec(request, spec)
    status, details = expect_rpc_error(
        lambda: any_server.predict.GetModelMetadata(request, timeout=30)
    )
    assert (status.name, message in details) == (code, True)
    request.ClearField("model_spec")
    status, details = expect_rpc_error(
        lambda: any_server.predict.GetModelMetadata(request, timeout=30)
    )
    assert (status.name, details) == ("INVALID_ARGUMENT", "Missing ModelSpec")


INVALID_STATUS_REQUESTS = {
    "unknown model": ({"name": "nobody"}, "Could not find any versions of model nobody"),
    "unknown version": (
        {"version": MISSING},
        f"Could not find version {MISSING} of model emotion_ai",
    ),
    "no name": ({"name": ""}, "Could not find any versions of model "),
}


@pytest.mark.parametrize("rule", INVALID_STATUS_REQUESTS)
def test_get_model_status_rejects_invalid_requests(any_server: AnyServer, rule: str) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    spec, message = INVALID_STATUS_REQUESTS[rule]
    request = GetModelStatusRequest()
    request.model_spec.name = "emotion_ai"
    set_model_spec(request, spec)
    status, details = expect_rpc_error(
        lambda: any_server.models.GetModelStatus(request, timeout=30)
    )
    assert (status, details) == (grpc.StatusCode.NOT_FOUND, message)
    request.ClearField("model_spec")
    status, details = expect_rpc_error(
        lambda: any_server.models.GetModelStatus(request, timeout=30)
    )
    assert (status, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def test_get_model_metadata_describes_both_signatures(any_server: AnyServer) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        SignatureDefMap,
    )

    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "emotion_ai"
    response = any_server.predict.GetModelMetadata(request, timeout=30)
    assert response.model_spec.version.value == any_server.version
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    images = signatures.signature_def["serving_default"].inputs["images"]
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, 96, 96, 1]
    encoded = signatures.signature_def["encoded"]
    assert set(encoded.inputs) == {"image_bytes"}
    assert {"keypoints", "emotion", "emotion_probabilities", "emotion_labels"} <= set(
        encoded.outputs
    )


def test_get_model_status_lists_the_release(any_server: AnyServer) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    request = GetModelStatusRequest()
    request.model_spec.name = "emotion_ai"
    request.model_spec.version.value = any_server.version
    (status,) = any_server.models.GetModelStatus(request, timeout=30).model_version_status
    # 30 is AVAILABLE.
    assert (status.version, status.state, status.status.error_code) == (any_server.version, 30, 0)
