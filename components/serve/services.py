"""TensorFlow Serving's PredictionService and ModelService over a `VersionManager`.

Imports TensorFlow, as tensorflow-serving-api does.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from components.errors import BadInput, Unavailable
from components.predict.tensors import fill_tensor
from components.serve.configuration import plans_of
from components.serve.model import LoadedModel
from components.serve.prediction import DEFAULT_SIGNATURE, predict
from components.serve.status import Refusal, invalid
from components.serve.versions import State, VersionManager

_SIGNATURE_FIELD = "signature_def"

_log = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata."""

    def __init__(self, manager: VersionManager[LoadedModel]) -> None:
        self._manager = manager

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer with the outputs of one signature of one version."""
        response = predict_pb2.PredictResponse()
        with _refusals(context):
            _check_spec(request)
            with self._manager.use(request.model_spec) as (version, model):
                outputs = predict(model, request)
            spec = response.model_spec
            spec.name = request.model_spec.name
            spec.version.value = version
            spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            for alias, array in outputs.items():
                fill_tensor(response.outputs[alias], array)
        return response

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer with the signatures of one version."""
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with _refusals(context):
            _check_spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != _SIGNATURE_FIELD:
                    raise invalid(f"Metadata field {field} is not supported")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            with self._manager.use(request.model_spec) as (version, model):
                for name, signature in model.signature_defs.items():
                    signatures.signature_def[name].CopyFrom(signature)
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = version
            response.metadata[_SIGNATURE_FIELD].Pack(signatures)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, manager: VersionManager[LoadedModel]) -> None:
        self._manager = manager

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer with the state of a model's versions, and why one did not load."""
        response = get_model_status_pb2.GetModelStatusResponse()
        with _refusals(context):
            _check_spec(request)
            for status in self._manager.statuses(request.model_spec):
                entry = response.model_version_status.add(
                    version=status.version, state=int(status.state)
                )
                entry.status.error_code = status.code
                entry.status.error_message = status.error
        return response

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Hold what the given configuration says, until the next poll finds models.config."""
        response = model_management_pb2.ReloadConfigResponse()
        with _refusals(context):
            plans = plans_of(request.config)
            self._manager.apply(plans)
            for plan in plans:
                for status in self._manager.statuses(_named(plan.name)):
                    if status.version in plan.versions and status.state != State.AVAILABLE:
                        response.status.error_code = status.code
                        response.status.error_message = status.error
        return response


def _named(name: str) -> Any:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    return request.model_spec


def _check_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


@contextlib.contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        context.abort(refusal.code, refusal.message)
    except BadInput as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except Unavailable as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except Exception as error:
        # A defect of ours or of the model: the caller learns that it is not theirs.
        _log.exception("a request failed")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
