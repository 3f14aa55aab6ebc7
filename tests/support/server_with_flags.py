"""A server with TensorFlow Serving's flags and parameter files, and requests to it."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np

from emotion_ai.server.process import server_process

from support.certificates import Certificates, KeyPair, make_certificates
from support.server_calls import eventually

MODELS = """
model_config_list {{
  config {{
    name: "tiny" base_path: "{folder}/tiny" model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "next" value: 3 }}
  }}
  config {{ name: "slow" base_path: "{folder}/slow" model_platform: "tensorflow" }}
  config {{ name: "faces" base_path: "{folder}/faces" model_platform: "tensorflow" }}
}}
"""
BATCHING = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 20000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 1
allowed_batch_sizes: 4
"""


class ConfiguredServer(NamedTuple):
    """A running server; `predict` and `models` are stubs over mutual TLS, `rest` is HOST:PORT."""

    address: str
    folder: Path
    log: Path
    rest: str
    process_id: int
    certificates: Certificates
    predict: Any
    models: Any


def _quote(text: str) -> str:
    return json.dumps(text)


def _write_files(folder: Path, certificates: Certificates) -> None:
    (folder / "models.config").write_text(MODELS.format(folder=folder))
    (folder / "batching.config").write_text(BATCHING)
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    (folder / "ssl.config").write_text(
        f"server_key: {_quote(certificates.server.key)}\n"
        f"server_cert: {_quote(certificates.server.certificate)}\n"
        f"custom_ca: {_quote(certificates.authority)}\n"
        "client_verify: true\n"
    )


def tls_channel(address: str, certificates: Certificates, client: KeyPair | None) -> grpc.Channel:
    """Open a channel that trusts the authority, with or without a client certificate."""
    credentials = grpc.ssl_channel_credentials(
        certificates.authority.encode(),
        client.key.encode() if client else None,
        client.certificate.encode() if client else None,
    )
    return grpc.secure_channel(address, credentials)


@contextlib.contextmanager
def run_configured_server(folder: Path) -> Iterator[ConfiguredServer]:
    """Run a server with its models and files in an empty folder during a `with` block."""
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    from support.tiny_saved_model import write_saved_model, write_slow_model
    from support.untrained_saved_model import write_face_model

    certificates = make_certificates()
    _write_files(folder, certificates)
    write_saved_model(folder / "tiny" / "1", shift=1.0)
    write_slow_model(folder / "slow" / "1")
    write_face_model(folder / "faces" / "1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        rest = f"127.0.0.1:{free.getsockname()[1]}"
    flags = [
        "--port=0",
        f"--rest_api_port={rest.partition(':')[2]}",
        f"--model_config_file={folder}/models.config",
        "--file_system_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching.config",
        f"--monitoring_config_file={folder}/monitoring.config",
        f"--ssl_config_file={folder}/ssl.config",
        "--grpc_channel_arguments=grpc.max_receive_message_length=1000000",
        "--flush_filesystem_caches=false",
    ]
    log = folder / "server.log"
    with (
        server_process(flags, log) as (address, process),
        tls_channel(address, certificates, certificates.client) as channel,
    ):
        eventually(lambda: log.read_text().count(" is available: ") == 3)
        yield ConfiguredServer(
            address,
            folder,
            log,
            rest,
            process.pid,
            certificates,
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def image_request(model: str, images: Any, **spec: Any) -> Any:
    """Return a PredictRequest with images: arrays, or files for the signature "encoded"."""
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest

    request = PredictRequest()
    request.model_spec.name = model
    for name, value in spec.items():
        setattr(request.model_spec, name, value)
    alias = "image_bytes" if spec.get("signature_name") == "encoded" else "images"
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(images))
    return request


def uniform_faces(count: int, level: int = 245) -> Any:
    """Return faces of one brightness, uint8 [count, 96, 96, 1]."""
    return np.full((count, 96, 96, 1), level, np.uint8)
