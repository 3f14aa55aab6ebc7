"""Protobuf messages of TensorFlow Serving and the Open Inference Protocol, without TensorFlow.

The classes are built from serving.binpb and inference.binpb (see `make_descriptors`) in a separate
descriptor pool: in the default pool their names would collide with TensorFlow's when both are
imported. A message is therefore passed to tensorflow_serving's classes, or back, as serialized
bytes.

Example:
    >>> request = PredictRequest()
    >>> request.model_spec.name = MODEL_NAME
"""

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
INFERENCE_SERVICE = "inference.GRPCInferenceService"
# The model's name on every server.
MODEL_NAME = "emotion_ai"


def _build_pool() -> DescriptorPool:
    pool = DescriptorPool()
    for name in ("serving.binpb", "inference.binpb"):
        files = FileDescriptorSet.FromString(Path(__file__).with_name(name).read_bytes())
        for file in files.file:
            pool.Add(file)
    return pool


POOL = _build_pool()


def _message_class(name: str) -> Any:
    return GetMessageClass(POOL.FindMessageTypeByName(name))


PredictRequest = _message_class("tensorflow.serving.PredictRequest")
PredictResponse = _message_class("tensorflow.serving.PredictResponse")
GetModelMetadataRequest = _message_class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message_class("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest = _message_class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = _message_class("tensorflow.serving.GetModelStatusResponse")
ModelVersionStatus = _message_class("tensorflow.serving.ModelVersionStatus")
ReloadConfigRequest = _message_class("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse = _message_class("tensorflow.serving.ReloadConfigResponse")
ModelServerConfig = _message_class("tensorflow.serving.ModelServerConfig")
ModelSpec = _message_class("tensorflow.serving.ModelSpec")
PredictionLog = _message_class("tensorflow.serving.PredictionLog")
SignatureDefMap = _message_class("tensorflow.serving.SignatureDefMap")
TensorProto = _message_class("tensorflow.TensorProto")
TensorShapeProto = _message_class("tensorflow.TensorShapeProto")
ServerLiveRequest = _message_class("inference.ServerLiveRequest")
ServerLiveResponse = _message_class("inference.ServerLiveResponse")
ServerReadyRequest = _message_class("inference.ServerReadyRequest")
ServerReadyResponse = _message_class("inference.ServerReadyResponse")
ServerMetadataRequest = _message_class("inference.ServerMetadataRequest")
ServerMetadataResponse = _message_class("inference.ServerMetadataResponse")
ModelReadyRequest = _message_class("inference.ModelReadyRequest")
ModelReadyResponse = _message_class("inference.ModelReadyResponse")
ModelMetadataRequest = _message_class("inference.ModelMetadataRequest")
ModelMetadataResponse = _message_class("inference.ModelMetadataResponse")
ModelInferRequest = _message_class("inference.ModelInferRequest")
ModelInferResponse = _message_class("inference.ModelInferResponse")
