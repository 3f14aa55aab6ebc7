"""What GetModelMetadata and GetModelStatus answer.

Sources: servables/tensorflow/get_model_metadata_impl.cc and model_servers/get_model_status_impl.cc
in TensorFlow Serving. Knows no TensorFlow.
"""

from typing import Any

from emotion_ai.server.errors import invalid
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import GetModelMetadataResponse, GetModelStatusResponse

SIGNATURE_FIELD = "signature_def"
MISSING_SPEC = "Missing ModelSpec"


def model_metadata(manager: VersionManager[Any], request: Any) -> Any:
    """The signatures of one version. Raises `StatusError` where they cannot be told."""
    if not request.HasField("model_spec"):
        raise invalid(MISSING_SPEC)
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_FIELD:
            raise invalid(f"Metadata field {field} is not supported")
    response = GetModelMetadataResponse()
    with manager.use(request.model_spec) as (version, model):
        response.metadata[SIGNATURE_FIELD].Pack(model.definitions)
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    return response


def model_status(manager: VersionManager[Any], request: Any) -> Any:
    """The states of a model's versions, and why one did not load; a label makes no difference.

    Raises `StatusError` NOT_FOUND for a model or version that was never held.
    """
    if not request.HasField("model_spec"):
        raise invalid(MISSING_SPEC)
    spec = request.model_spec
    number = int(spec.version.value) if spec.HasField("version") else None
    response = GetModelStatusResponse()
    for status in manager.statuses(spec.name, number):
        entry = response.model_version_status.add(version=status.version, state=int(status.state))
        entry.status.error_code = status.code
        entry.status.error_message = status.error
    return response
