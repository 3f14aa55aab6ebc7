"""TensorFlow Serving's protobuf messages, without TensorFlow.

The classes are built from serving.binpb (see `make_descriptors`) in a separate descriptor pool: in
the default pool their names would collide with TensorFlow's when both are imported. A message is
therefore passed to tensorflow_serving's classes, or back, as serialized bytes.

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
# The model's name on every server.
MODEL_NAME = "emotion_ai"


def _build_pool() -> DescriptorPool:
    files = FileDescriptorSet.FromString(Path(__file__).with_name("serving.binpb").read_bytes())
    pool = DescriptorPool()
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
