"""GetModelMetadata and GetModelStatus: TensorFlow Serving's status codes and messages."""

import grpc
import pytest

from support.server_calls import RunningServer, expect_rpc_error, set_model_spec

INVALID_METADATA_REQUESTS = {
    "no field": ([], {}, "INVALID_ARGUMENT", "must specify at least one metadata_field"),
    "another field": (
        ["signature_def", "weights"],
        {},
        "INVALID_ARGUMENT",
        "Metadata field weights is not supported",
    ),
    "unknown model": (["signature_def"], {"name": "other"}, "NOT_FOUND", "Latest(other)"),
    "unknown version": (["signature_def"], {"version": 9}, "NOT_FOUND", "Specific(emotion_ai, 9)"),
}


@pytest.mark.parametrize("rule", INVALID_METADATA_REQUESTS)
def test_get_model_metadata_rejects_invalid_requests(server: RunningServer, rule: str) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest

    fields, spec, code, message = INVALID_METADATA_REQUESTS[rule]
    request = GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "emotion_ai"
    set_model_spec(request, spec)
    status, details = expect_rpc_error(lambda: server.predict.GetModelMetadata(request, timeout=30))
    assert (status.name, message in details) == (code, True)
    request.ClearField("model_spec")
    status, details = expect_rpc_error(lambda: server.predict.GetModelMetadata(request, timeout=30))
    assert (status.name, details) == ("INVALID_ARGUMENT", "Missing ModelSpec")


INVALID_STATUS_REQUESTS = {
    "unknown model": ({"name": "nobody"}, "Could not find any versions of model nobody"),
    "unknown version": ({"version": 7}, "Could not find version 7 of model emotion_ai"),
    "no name": ({"name": ""}, "Could not find any versions of model "),
}


@pytest.mark.parametrize("rule", INVALID_STATUS_REQUESTS)
def test_get_model_status_rejects_invalid_requests(server: RunningServer, rule: str) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    spec, message = INVALID_STATUS_REQUESTS[rule]
    request = GetModelStatusRequest()
    request.model_spec.name = "emotion_ai"
    set_model_spec(request, spec)
    status, details = expect_rpc_error(lambda: server.models.GetModelStatus(request, timeout=30))
    assert (status, details) == (grpc.StatusCode.NOT_FOUND, message)
    request.ClearField("model_spec")
    status, details = expect_rpc_error(lambda: server.models.GetModelStatus(request, timeout=30))
    assert (status, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
