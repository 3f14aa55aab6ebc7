"""What GetModelMetadata and GetModelStatus refuse, with TensorFlow Serving's codes and words."""

import grpc
import pytest

from support.server_calls import Running, choose, refused

METADATA = {
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


@pytest.mark.parametrize("rule", METADATA)
def test_metadata_refuses(running: Running, rule: str) -> None:
    from tensorflow_serving.apis.get_model_metadata_pb2 import GetModelMetadataRequest

    fields, spec, code, words = METADATA[rule]
    request = GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "emotion_ai"
    choose(request, spec)
    got, details = refused(lambda: running.predict.GetModelMetadata(request, timeout=30))
    assert (got.name, words in details) == (code, True)
    request.ClearField("model_spec")
    got, details = refused(lambda: running.predict.GetModelMetadata(request, timeout=30))
    assert (got.name, details) == ("INVALID_ARGUMENT", "Missing ModelSpec")


STATUS = {
    "unknown model": ({"name": "nobody"}, "Could not find any versions of model nobody"),
    "unknown version": ({"version": 7}, "Could not find version 7 of model emotion_ai"),
    "no name": ({"name": ""}, "Could not find any versions of model "),
}


@pytest.mark.parametrize("rule", STATUS)
def test_status_refuses(running: Running, rule: str) -> None:
    from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusRequest

    spec, message = STATUS[rule]
    request = GetModelStatusRequest()
    request.model_spec.name = "emotion_ai"
    choose(request, spec)
    got, details = refused(lambda: running.models.GetModelStatus(request, timeout=30))
    assert (got, details) == (grpc.StatusCode.NOT_FOUND, message)
    request.ClearField("model_spec")
    got, details = refused(lambda: running.models.GetModelStatus(request, timeout=30))
    assert (got, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
