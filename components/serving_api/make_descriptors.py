"""Creates serving.binpb from the package tensorflow-serving-api.

    python -m emotion_ai.serving_api.make_descriptors

The file is a FileDescriptorSet of TensorFlow Serving's messages and all they import, dependencies
first, without the services: a client names a method by its path. prediction_service_pb2 and
model_service_pb2 of tensorflow-serving-api 2.20 cannot be imported anyway: protobuf 4 and later
reject the code of the old protoc that generated them.
"""

import sys
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet


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


def _collect(descriptor: FileDescriptor, files: dict[str, FileDescriptorProto]) -> None:
    if descriptor.name in files:
        return
    for dependency in descriptor.dependencies:
        _collect(dependency, files)
    proto = FileDescriptorProto()
    descriptor.CopyToProto(proto)
    files[descriptor.name] = proto


if __name__ == "__main__":
    path = Path(__file__).with_name("serving.binpb")
    path.write_bytes(installed_descriptors().SerializeToString(deterministic=True))
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")
