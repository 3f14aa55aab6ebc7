"""What the Open Inference Protocol says of the server and its models. No TensorFlow."""

from typing import Any

from grpc import StatusCode

from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import installed_version
from emotion_ai.server.inference_request import model_spec
from emotion_ai.server.inference_tensors import datatype_name
from emotion_ai.server.signature import DEFAULT_SIGNATURE
from emotion_ai.server.version_state import State
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import ModelMetadataResponse, ServerMetadataResponse

_EXTENSIONS = ("binary_tensor_data", "parameters")
_PLATFORM = "tensorflow_savedmodel"
_NOT_READY = (StatusCode.NOT_FOUND, StatusCode.UNAVAILABLE)


def server_metadata() -> Any:
    """Return a `ServerMetadataResponse`."""
    return ServerMetadataResponse(
        name="emotion-ai", version=installed_version(), extensions=_EXTENSIONS
    )


def model_metadata(manager: VersionManager[Any], name: str, number: str) -> Any:
    """Return a `ModelMetadataResponse` of the signature `serving_default`.

    Args:
        manager: The loaded versions.
        name: The model's name.
        number: A version or a label; "" is the newest version.

    Raises:
        StatusError: NOT_FOUND for a version that is not available; FAILED_PRECONDITION for one
            without that signature.
    """
    with manager.use(model_spec(name, number)) as (_, model):
        definitions = model.definitions.signature_def
        if DEFAULT_SIGNATURE not in definitions:
            raise StatusError(
                StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{DEFAULT_SIGNATURE}" not found.',
            )
        definition = definitions[DEFAULT_SIGNATURE]
        response = ModelMetadataResponse(name=name, platform=_PLATFORM)
        for tensors, infos in (
            (response.inputs, definition.inputs),
            (response.outputs, definition.outputs),
        ):
            for alias, info in sorted(infos.items()):
                shape = [dim.size for dim in info.tensor_shape.dim]
                tensors.add(name=alias, datatype=datatype_name(info.dtype), shape=shape)
    statuses = manager.statuses(name)
    response.versions.extend(
        str(status.version) for status in statuses if status.state == State.AVAILABLE
    )
    return response


def is_model_ready(manager: VersionManager[Any], name: str, number: str) -> bool:
    """Whether a version of a model answers.

    Args:
        manager: The loaded versions.
        name: The model's name.
        number: A version or a label; "" is the newest version.

    Raises:
        StatusError: INVALID_ARGUMENT for a missing name and an unknown label.
    """
    try:
        with manager.use(model_spec(name, number)):
            return True
    except StatusError as error:
        if error.code in _NOT_READY:
            return False
        raise
