"""The embedded model server: TensorFlow Serving's gRPC API over a registry, in the foreground.

A light module: TensorFlow is imported once the address is bound, and that takes seconds.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc

from components import storage
from components.errors import BadInput, Unavailable
from components.predict.messages import MODEL_NAME, MODEL_SERVICE, PREDICTION_SERVICE
from components.serve.following import Health, follow, say_if_waiting
from components.serve.versions import VersionManager

if TYPE_CHECKING:
    from components.serve.model import LoadedModel

DRAIN_SECONDS = 30.0
_WORKERS = 16
_MAX_REQUEST_BYTES = 256 * 1024 * 1024

_log = logging.getLogger(__name__)


def serve(
    registry: str, host: str = "127.0.0.1", port: int = 8500, poll_seconds: float = 1.0
) -> None:
    """Serve what `<registry>/models.config` names, until SIGTERM or SIGINT has drained the server.

    Port 0 is any free one. The file is read again every `poll_seconds`; until it is there, the
    server waits and says so. One line on standard output tells the address once requests are
    taken; the log goes to standard error. To be called in the main thread. Raises `BadInput` for
    settings or a registry that cannot be, and `Unavailable` naming an address that cannot be bound.
    """
    if not poll_seconds > 0:
        raise BadInput(f"poll seconds {poll_seconds}: expected a number above 0")
    # Not there yet is fine, and so is a storage that is down for now; not a folder never is.
    with contextlib.suppress(Unavailable):
        storage.list_names(registry)
    server, port = _bound_server(host, port)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    say_if_waiting(registry)
    manager = VersionManager(_load)
    health = Health((PREDICTION_SERVICE, MODEL_SERVICE))
    _start(server, manager, health)
    sys.stdout.write(f"serving {MODEL_NAME} on {host}:{port} (registry {registry})\n")
    sys.stdout.flush()
    follow(registry, manager, health, stop, poll_seconds)
    _log.info("draining: no new requests, at most %.0f s for those under way", DRAIN_SECONDS)
    health.show(False)
    server.stop(DRAIN_SECONDS).wait()
    _log.info("stopped")


def _bound_server(host: str, port: int) -> tuple[grpc.Server, int]:
    if not 0 <= port < 65536:
        raise BadInput(f"port {port}: expected 0 to 65535")
    _check_free(host, port)
    server = grpc.server(
        ThreadPoolExecutor(_WORKERS, thread_name_prefix="request"),
        options=[
            # Else two servers could share a port, and each would get some of the requests.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
            ("grpc.max_send_message_length", _MAX_REQUEST_BYTES),
        ],
    )
    try:
        return server, server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise Unavailable(f"{host}:{port}: cannot be listened on: {error}") from None


def _check_free(host: str, port: int) -> None:
    # gRPC's own refusal is several lines of its internals and does not tell why.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Unavailable(
            f"{host}:{port}: cannot be listened on: {error.strerror}; choose another --port, or 0 "
            "for any free one"
        ) from None


def _start(server: grpc.Server, manager: "VersionManager[LoadedModel]", health: Health) -> None:
    # TensorFlow's notes about the processor would bury the log.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
    from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
    from tensorflow_serving.apis.prediction_service_pb2_grpc import (
        add_PredictionServiceServicer_to_server,
    )

    from components.serve.services import ModelService, PredictionService

    add_PredictionServiceServicer_to_server(PredictionService(manager), server)
    add_ModelServiceServicer_to_server(ModelService(manager), server)
    add_HealthServicer_to_server(health.servicer, server)
    server.start()


def _load(base_path: str, version: int) -> "LoadedModel":
    from components.serve.model import load_model

    return load_model(base_path, version)
