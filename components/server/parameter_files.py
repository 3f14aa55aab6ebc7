"""Reads TensorFlow Serving's parameter files (protobuf text): batching, TLS and monitoring.

The package tensorflow-serving-api lacks these three messages. Their fields are those of
servables/tensorflow/session_bundle_config.proto (BatchingParameters), config/ssl_config.proto and
config/monitoring_config.proto in TensorFlow Serving's sources.
"""

from typing import Any, NamedTuple

from google.protobuf import text_format, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from emotion_ai import storage
from emotion_ai.errors import InputError

_MAX_BYTES = 1 << 20
_PACKAGE = "tensorflow.serving"
_OPTIONAL, _REPEATED = FieldDescriptorProto.LABEL_OPTIONAL, FieldDescriptorProto.LABEL_REPEATED
_SCALAR_TYPES = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int64": FieldDescriptorProto.TYPE_INT64,
}


class _Field(NamedTuple):
    name: str
    number: int
    type: str
    label: Any = _OPTIONAL


_WRAPPERS = "google.protobuf."
_MESSAGES = {
    "BatchingParameters": (
        _Field("max_batch_size", 1, _WRAPPERS + "Int64Value"),
        _Field("batch_timeout_micros", 2, _WRAPPERS + "Int64Value"),
        _Field("max_enqueued_batches", 3, _WRAPPERS + "Int64Value"),
        _Field("num_batch_threads", 4, _WRAPPERS + "Int64Value"),
        _Field("thread_pool_name", 5, _WRAPPERS + "StringValue"),
        _Field("allowed_batch_sizes", 6, "int64", _REPEATED),
        _Field("pad_variable_length_inputs", 7, "bool"),
        _Field("enable_large_batch_splitting", 8, _WRAPPERS + "BoolValue"),
        _Field("max_execution_batch_size", 9, _WRAPPERS + "Int64Value"),
    ),
    "SSLConfig": (
        _Field("server_key", 1, "string"),
        _Field("server_cert", 2, "string"),
        _Field("custom_ca", 3, "string"),
        _Field("client_verify", 4, "bool"),
    ),
    "PrometheusConfig": (_Field("enable", 1, "bool"), _Field("path", 2, "string")),
    "MonitoringConfig": (_Field("prometheus_config", 1, f"{_PACKAGE}.PrometheusConfig"),),
}


def _build_classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="parameters.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            entry = message.field.add(name=field.name, number=field.number, label=field.label)
            if field.type in _SCALAR_TYPES:
                entry.type = _SCALAR_TYPES[field.type]
            else:
                entry.type, entry.type_name = entry.TYPE_MESSAGE, f".{field.type}"
    pool = DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build_classes()


def read_parameters(message: str, uri: str) -> Any:
    """Read a parameter file.

    Args:
        message: BatchingParameters, SSLConfig or MonitoringConfig.
        uri: Path or URI of the file; "" returns an empty message.

    Returns:
        The protobuf message.

    Raises:
        InputError: The file is missing, longer than 1 MiB or holds something else.
        Unavailable: The file cannot be read.
    """
    text = storage.read_bytes(uri, _MAX_BYTES) if uri else b""
    try:
        return text_format.Parse(text.decode(), _CLASSES[message]())
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{uri}: not a {message} of TensorFlow Serving: {error}") from None
