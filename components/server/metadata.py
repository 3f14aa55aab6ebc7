"""The responses to GetModelMetadata and GetModelStatus.

Sources: servables/tensorflow/get_model_metadata_impl.cc and model_servers/get_model_status_impl.cc
in TensorFlow Serving. Does not import TensorFlow.
"""

from typing import Any

from emotion_ai.server.errors import invalid_argument
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import GetModelMetadataResponse, GetModelStatusResponse

SIGNATURE_FIELD = "signature_def"
MISSING_SPEC = "Missing ModelSpec"


def get_model_metadata(manager: VersionManager[Any], request: Any) -> Any:
    """Return the signatures of one version.

    Args:
        manager: The loaded versions.
        request: A `GetModelMetadataRequest`.

    Returns:
        A `GetModelMetadataResponse`.

    Raises:
        StatusError: INVALID_ARGUMENT for a request without ModelSpec or with other fields than
            `signature_def`; NOT_FOUND for a version that is not available.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument(MISSING_SPEC)
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_FIELD:
            raise invalid_argument(f"Metadata field {field} is not supported")
    response = GetModelMetadataResponse()
    with manager.use(request.model_spec) as (version, model):
        response.metadata[SIGNATURE_FIELD].Pack(model.definitions)
    response.model_spec.name = request.model_spec.name
    response.model_spec.version.value = version
    return response


def get_model_status(manager: VersionManager[Any], request: Any) -> Any:
    """Return the states of a model's versions and their load errors; labels are ignored.

    Args:
        manager: The loaded versions.
        request: A `GetModelStatusRequest`.

    Returns:
        A `GetModelStatusResponse`, the newest version first.

    Raises:
        StatusError: INVALID_ARGUMENT for a request without ModelSpec; NOT_FOUND for a model or
            version that was never loaded.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument(MISSING_SPEC)
    spec = request.model_spec
    version = int(spec.version.value) if spec.HasField("version") else None
    response = GetModelStatusResponse()
    for status in manager.statuses(spec.name, version):
        entry = response.model_version_status.add(version=status.version, state=int(status.state))
        entry.status.error_code = status.code
        entry.status.error_message = status.error
    return response
