"""The embedded model server: TensorFlow Serving's gRPC API, in the foreground.

Importing this module does not import TensorFlow, which takes seconds: the server binds its address
first, and imports TensorFlow with the first version that it loads.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from typing import Any

import grpc

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import CONFIG_NAME
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.configuration import ConfigSource
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.grpc_server import bind, create_server
from emotion_ai.server.health import Health
from emotion_ai.server.metrics import DEFAULT_PATH, Metrics
from emotion_ai.server.parameter_files import read_parameters
from emotion_ai.server.rest import Monitoring, rest_server
from emotion_ai.server.runtime import LazyLoader
from emotion_ai.server.services import ModelService, PredictionService
from emotion_ai.server.tls import load_credentials
from emotion_ai.server.version_state import RetryPolicy
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import MODEL_NAME, MODEL_SERVICE, PREDICTION_SERVICE

DRAIN_SECONDS = 30.0
# With the default of 5 ms, a batch thread with outputs would wait that long for the event loop's
# interpreter lock.
_SWITCH_INTERVAL_S = 0.001

_log = logging.getLogger(__name__)


def serve(flags: ServerFlags) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress and return.

    Call it in the main thread. It waits for a registry without `models.config`. One line on
    standard output names the address once requests are accepted; the log goes to standard error.

    Args:
        flags: What to serve, and how; see `parse_flags`.

    Raises:
        InputError: A flag, a file or the registry is invalid.
        Unavailable: The address cannot be bound.

    Example:
        serve(ServerFlags(registry="./registry", port=8500))
    """
    _configure_logging()
    if flags.pretrained:
        _serve_pretrained(flags)
        return
    # A missing registry or a failing storage may recover; a path that is no folder does not.
    with contextlib.suppress(Unavailable):
        storage.list_names(flags.registry or os.curdir)
    asyncio.run(_Server(flags).run())


def _configure_logging() -> None:
    # Before TensorFlow configures it. Its messages about exports and sessions are no concern here.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)


def _serve_pretrained(flags: ServerFlags) -> None:
    from emotion_ai.server.pretrained import add_lite_model, pretrained_registry

    _log.info("exporting the pretrained networks, which takes some seconds")
    with pretrained_registry() as registry:
        if flags.prefer_tflite_model:
            add_lite_model(registry)
        serve(flags.model_copy(update={"registry": registry, "pretrained": False}))


class _Server:
    """Builds the server's parts from the flags, and runs them."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._batch_policy = BatchPolicy.from_flags(flags)
        self._credentials = (
            load_credentials(flags.ssl_config_file) if flags.ssl_config_file else None
        )
        self._monitoring = Monitoring(Metrics(), _metrics_path(flags))
        self._source = ConfigSource(flags)
        retry = RetryPolicy(flags.load_retry_interval_micros / 1e6, flags.max_num_load_retries)
        self._manager: VersionManager[Any] = VersionManager(
            LazyLoader(flags), lambda model: model.close(), retry
        )
        self._health = Health((PREDICTION_SERVICE, MODEL_SERVICE))
        self._config_poller = ConfigPoller(self._source, flags, self._manager, self._health)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = create_server(self._flags)
        self._register_services(server)
        port = bind(server, self._flags, self._credentials)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._check_initial_config()
        with contextlib.ExitStack() as stack:
            rest_port = self._start_rest(stack)
            await server.start()
            self._print_address(port, rest_port)
            await self._poll_config_until(stop)
            _log.info(
                "draining: no new requests, at most %.0f s for those in progress", DRAIN_SECONDS
            )
            self._health.set_serving(False)
            await server.stop(DRAIN_SECONDS)
            _log.info("stopped")

    def _register_services(self, server: grpc.aio.Server) -> None:
        from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

        prediction = PredictionService(self._manager, self._batch_policy, self._monitoring.metrics)
        model = ModelService(self._manager, self._config_poller)
        server.add_generic_rpc_handlers((prediction.handler(), model.handler()))
        add_HealthServicer_to_server(self._health.servicer, server)

    def _check_initial_config(self) -> None:
        """Reject an invalid configuration; for a registry, only report a missing one.

        Raises:
            InputError: The configuration of the flags is invalid.
        """
        registry = self._flags.registry
        try:
            config = self._source.read()
            if config is not None and not registry:
                self._config_poller.check_config(config)
        except StatusError as error:
            raise InputError(
                f"{self._source.address}: {error}; --allow_version_labels_for_unavailable_models "
                "allows a label before its version is loaded"
            ) from None
        except (InputError, Unavailable) as error:
            if not registry and isinstance(error, InputError):
                raise
            # The poller logs it and tries again.
            return
        if config is None:
            _print_line(f"waiting for the first rollout: no {CONFIG_NAME} in {registry} yet")

    def _start_rest(self, stack: contextlib.ExitStack) -> int | None:
        """Start the REST API if a flag asks for it; returns its port."""
        flags = self._flags
        if not flags.rest_api_port:
            return None
        # As in TensorFlow Serving, 0 is no timeout.
        timeout_s = flags.rest_api_timeout_in_ms / 1e3 or None
        return stack.enter_context(
            rest_server(flags.host, flags.rest_api_port, timeout_s, self._manager, self._monitoring)
        )

    def _print_address(self, port: int, rest_port: int | None) -> None:
        flags = self._flags
        name = MODEL_NAME if flags.registry or flags.model_config_file else flags.model_name
        source = f"registry {flags.registry}" if flags.registry else self._source.address
        rest = "" if rest_port is None else f", REST on {flags.host}:{rest_port}"
        _print_line(f"serving {name} on {flags.host}:{port} ({source}){rest}")

    async def _poll_config_until(self, stop: asyncio.Event) -> None:
        stop_polling = threading.Event()
        threading.Thread(
            target=self._config_poller.run, args=(stop_polling,), name="config-poller", daemon=True
        ).start()
        await stop.wait()
        stop_polling.set()


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _metrics_path(flags: ServerFlags) -> str | None:
    if not flags.monitoring_config_file:
        return None
    config = read_parameters("MonitoringConfig", flags.monitoring_config_file).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None
