"""The embedded model server: TensorFlow Serving's gRPC API, in the foreground.

A light module: TensorFlow is imported while the address already answers, and that takes seconds.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import CONFIG_NAME
from emotion_ai.server.batching import BatchPolicy, policy_of
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.configuration import ConfigSource
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import Health
from emotion_ai.server.metrics import DEFAULT_PATH, Metrics
from emotion_ai.server.parameter_files import read_parameters
from emotion_ai.server.rest import Monitoring, rest_server
from emotion_ai.server.runtime import import_tensorflow
from emotion_ai.server.services import ModelService, PredictionService
from emotion_ai.server.tls import credentials
from emotion_ai.server.versions import RetryPolicy, VersionManager
from emotion_ai.serving_api.messages import MODEL_NAME, MODEL_SERVICE, PREDICTION_SERVICE

DRAIN_SECONDS = 30.0
# Calls that are not Predict: a reload may wait for a model, and the others must not wait for it.
_WORKERS = 4
_MAX_REQUESTS = 4096
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
# Without --enable_batching: whoever waits shares the next run, and nobody waits for others. Were
# all who wait taken at once, a thread that is done would find nobody until these have asked again.
_MAX_SHARED_RUN = 8
# In LiteRT a face costs in a batch what it costs alone.
_MAX_SHARED_LITE_RUN = 4
_MAX_SHARED_RUNS = 2048
# A thread that has its answers would wait for the event loop's lock for up to 5 ms.
_SWITCH_SECONDS = 0.001

_log = logging.getLogger(__name__)


def serve(flags: ServerFlags) -> None:
    """Serve what the flags say until SIGTERM or SIGINT has drained the server.

    A registry without `models.config` is waited for. One line on standard output tells the address
    once requests are taken; the log goes to standard error. To be called in the main thread.
    Raises `InputError` for flags, files or a registry that cannot be, and `Unavailable` naming an
    address that cannot be bound.
    """
    # Before TensorFlow sets it up otherwise; what it tells of exports and sessions is not ours.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    if flags.pretrained:
        from emotion_ai.server.pretrained import add_lite, pretrained_registry

        with pretrained_registry() as registry:
            if flags.prefer_tflite_model:
                add_lite(registry)
            serve(flags.model_copy(update={"registry": registry, "pretrained": False}))
        return
    # Not there yet is fine, and so is a storage that is down for now; not a folder never is.
    with contextlib.suppress(Unavailable):
        storage.list_names(flags.registry or os.curdir)
    asyncio.run(_Server(flags).run())


class _Server:
    """The parts of a server, from the flags."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._policy = _policy(flags)
        self._credentials = credentials(flags.ssl_config_file) if flags.ssl_config_file else None
        self._monitoring = Monitoring(Metrics(), _metrics_path(flags))
        self._source = ConfigSource(flags)
        retry = RetryPolicy(flags.load_retry_interval_micros / 1e6, flags.max_num_load_retries)
        self._manager = VersionManager(_Loader(flags), lambda model: model.close(), retry)
        self._health = Health((PREDICTION_SERVICE, MODEL_SERVICE))
        self._follower = ConfigPoller(self._source, flags, self._manager, self._health)

    async def run(self) -> None:
        """Serve until a signal comes."""
        flags = self._flags
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server, port = self._bound_server()
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._look_once()
        with contextlib.ExitStack() as stack:
            rest = self._rest(stack)
            await server.start()
            name = MODEL_NAME if flags.registry or flags.model_config_file else flags.model_name
            place = f"registry {flags.registry}" if flags.registry else self._source.address
            sys.stdout.write(f"serving {name} on {flags.host}:{port} ({place}){rest}\n")
            sys.stdout.flush()
            await self._follow_until(stop)
            _log.info(
                "draining: no new requests, at most %.0f s for those under way", DRAIN_SECONDS
            )
            self._health.show(False)
            await server.stop(DRAIN_SECONDS)
            _log.info("stopped")

    async def _follow_until(self, stop: asyncio.Event) -> None:
        ended = threading.Event()
        thread = threading.Thread(target=self._follower.run, args=(ended,), name="follower")
        thread.daemon = True
        thread.start()
        await stop.wait()
        ended.set()

    def _look_once(self) -> None:
        """Refuse a configuration of one's own that cannot be; say where a registry has none yet."""
        registry = self._flags.registry
        try:
            config = self._source.read()
            if config is not None and not registry:
                self._follower.check(config)
        except StatusError as refusal:
            raise InputError(
                f"{self._source.address}: {refusal}; --allow_version_labels_for_unavailable_models "
                "lets a label wait for its version"
            ) from None
        except (InputError, Unavailable) as error:
            if not registry and isinstance(error, InputError):
                raise
            # The follower logs it, and goes on trying.
            return
        if config is None:
            sys.stdout.write(f"waiting for the first rollout: no {CONFIG_NAME} in {registry} yet\n")
            sys.stdout.flush()

    def _bound_server(self) -> tuple[grpc.aio.Server, int]:
        flags = self._flags
        _check_free(flags.host, flags.port)
        options: dict[str, int | str] = {
            # Else two servers could share a port, and each would get some of the requests.
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": _MAX_MESSAGE_BYTES,
            "grpc.max_send_message_length": _MAX_MESSAGE_BYTES,
            **flags.channel_options(),
        }
        server = grpc.aio.server(
            migration_thread_pool=ThreadPoolExecutor(_WORKERS, thread_name_prefix="call"),
            maximum_concurrent_rpcs=flags.grpc_max_threads or _MAX_REQUESTS,
            options=list(options.items()),
        )
        self._register(server)
        address = f"{flags.host}:{flags.port}"
        try:
            if self._credentials is None:
                return server, server.add_insecure_port(address)
            return server, server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise Unavailable(f"{address}: cannot be listened on: {error}") from None

    def _register(self, server: grpc.aio.Server) -> None:
        from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

        prediction = PredictionService(self._manager, self._policy, self._monitoring.metrics)
        model = ModelService(self._manager, self._follower)
        server.add_generic_rpc_handlers((prediction.handler(), model.handler()))
        add_HealthServicer_to_server(self._health.servicer, server)

    def _rest(self, stack: contextlib.ExitStack) -> str:
        flags = self._flags
        if not flags.rest_api_port:
            return ""
        # As there, 0 waits for ever.
        timeout_s = flags.rest_api_timeout_in_ms / 1e3 or None
        server = rest_server(
            flags.host, flags.rest_api_port, timeout_s, self._manager, self._monitoring
        )
        return f", REST on {flags.host}:{stack.enter_context(server)}"


class _Loader:
    """Imports TensorFlow when the first version is to be loaded."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        self._load: Any = None

    def __call__(self, base_path: str, version: int) -> Any:
        if self._load is None:
            # TensorFlow's notes about the processor would bury the log.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            started = time.monotonic()
            import_tensorflow()
            from emotion_ai.server.model import Loader

            _log.info("TensorFlow is imported: %.1f s", time.monotonic() - started)
            self._load = Loader(self._flags)
            # What is imported stays: the collector need not look through it again and again.
            gc.freeze()
        return self._load(base_path, version)


def _policy(flags: ServerFlags) -> BatchPolicy:
    cores = len(os.sched_getaffinity(0))
    if not flags.enable_batching:
        rows = _MAX_SHARED_LITE_RUN if flags.prefer_tflite_model else _MAX_SHARED_RUN
        return BatchPolicy(rows, 0.0, _MAX_SHARED_RUNS, cores)
    path = flags.batching_parameters_file
    parameters = read_parameters("BatchingParameters", path)
    try:
        return policy_of(parameters, cores)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _metrics_path(flags: ServerFlags) -> str | None:
    if not flags.monitoring_config_file:
        return None
    config = read_parameters("MonitoringConfig", flags.monitoring_config_file).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None


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
