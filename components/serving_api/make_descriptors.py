"""Creates serving.binpb and inference.binpb from tensorflow-serving-api and tritonclient.

    python -m emotion_ai.serving_api.make_descriptors

The first is a FileDescriptorSet of TensorFlow Serving's messages and all they import, dependencies
first, without the services: a client names a method by its path. The second has the messages of the
Open Inference Protocol, and none of what Triton adds. prediction_service_pb2 and
model_service_pb2 of tensorflow-serving-api 2.20 cannot be imported anyway: protobuf 4 and later
reject the code of the old protoc that generated them.
"""

import sys
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

_INFERENCE_MESSAGES = {
    *(
        f"{name}{kind}"
        for name in (
            "ServerLive",
            "ServerReady",
            "ModelReady",
            "ServerMetadata",
            "ModelMetadata",
            "ModelInfer",
        )
        for kind in ("Request", "Response")
    ),
    "InferParameter",
    "InferTensorContents",
}


def installed_descriptors() -> FileDescriptorSet:
    """Return the descriptors of the installed tensorflow-serving-api, dependencies first."""
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_management_pb2,
        predict_pb2,
        prediction_log_pb2,
    )
    from tensorflow_serving.config import model_server_config_pb2

    modules = (
        predict_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_management_pb2,
        model_server_config_pb2,
        prediction_log_pb2,
    )
    files: dict[str, FileDescriptorProto] = {}
    for module in modules:
        _collect(module.DESCRIPTOR, files)
    return FileDescriptorSet(file=files.values())


def installed_inference_descriptors() -> FileDescriptorSet:
    """Return the Open Inference Protocol's descriptors, of the installed tritonclient."""
    from tritonclient.grpc import service_pb2

    proto = FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(proto)
    messages = [message for message in proto.message_type if message.name in _INFERENCE_MESSAGES]
    return FileDescriptorSet(
        file=[
            FileDescriptorProto(
                name=proto.name, package=proto.package, syntax=proto.syntax, message_type=messages
            )
        ]
    )


def _collect(descriptor: FileDescriptor, files: dict[str, FileDescriptorProto]) -> None:
    if descriptor.name in files:
        return
    for dependency in descriptor.dependencies:
        _collect(dependency, files)
    proto = FileDescriptorProto()
    descriptor.CopyToProto(proto)
    files[descriptor.name] = proto


if __name__ == "__main__":
    for name, descriptors in (
        ("serving.binpb", installed_descriptors()),
        ("inference.binpb", installed_inference_descriptors()),
    ):
        path = Path(__file__).with_name(name)
        path.write_bytes(descriptors.SerializeToString(deterministic=True))
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")
