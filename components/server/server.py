"""The embedded model server: TensorFlow Serving's gRPC API, in the foreground.

Importing this module does not import TensorFlow, which takes seconds: the server checks its flags
and addresses first, and imports TensorFlow with the first version that it loads. Like TensorFlow
Serving it opens its ports after that: until then, callers connect to other servers.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from concurrent.futures import Future
from typing import Any

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable, one_line
from emotion_ai.registry.champion import CONFIG_NAME
from emotion_ai.server.batch_policy import BatchPolicy
from emotion_ai.server.config_poller import ConfigPoller
from emotion_ai.server.configuration import ConfigSource, check_base_paths
from emotion_ai.server.errors import StatusError
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.grpc_server import (
    PORT_ADVICE,
    bind,
    check_address,
    check_socket_path,
    create_server,
    message_limit,
)
from emotion_ai.server.health import Health
from emotion_ai.server.inference_service import inference_handler
from emotion_ai.server.metrics import DEFAULT_PATH, Metrics
from emotion_ai.server.model_service import ModelService
from emotion_ai.server.parameter_files import read_parameters
from emotion_ai.server.prediction_service import Limits, PredictionService
from emotion_ai.server.rest import REST_PORT_ADVICE, Monitoring, rest_server
from emotion_ai.server.rpc import Arrivals
from emotion_ai.server.runtime import LazyLoader, check_tensorflow
from emotion_ai.server.tls import load_credentials
from emotion_ai.server.version_state import RetryPolicy
from emotion_ai.server.versions import VersionManager
from emotion_ai.serving_api.messages import MODEL_NAME

DRAIN_SECONDS = 30.0
_LAST_LOAD_SECONDS = 10.0
# How long answers are held before the drain: longer than an answer's way to its caller and the next
# request's way back.
_HOLD_SECONDS = 0.1
# With the default of 5 ms, a batch thread with outputs would wait that long for the event loop's
# interpreter lock.
_SWITCH_INTERVAL_S = 0.001

_log = logging.getLogger(__name__)


def serve(flags: ServerFlags) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in progress and return.

    Call it in the main thread. One line on standard output names the address once requests are
    accepted: when the first models are loaded, or when a registry has no champion yet. The log goes
    to standard error.

    Args:
        flags: What to serve, and how; see `parse_flags`.

    Raises:
        InputError: A flag, a file or the registry is invalid, or TensorFlow is not installed.
        Unavailable: The address cannot be bound; or the models do not load, and are not a
            registry's.

    Example:
        serve(ServerFlags(registry="./registry", port=8500))
    """
    _configure_logging()
    check_tensorflow()
    _check_addresses(flags)
    if flags.pretrained:
        _serve_pretrained(flags)
    else:
        _serve(flags)


def _serve(flags: ServerFlags) -> None:
    if flags.registry:
        storage.check_folder_address(flags.registry)
    # A missing registry or a failing storage may recover; a path that is no folder does not.
    with contextlib.suppress(Unavailable):
        storage.list_names(flags.registry or os.curdir)
    asyncio.run(_Server(flags).run())


def _check_addresses(flags: ServerFlags) -> None:
    check_address(flags, flags.port, PORT_ADVICE)
    if flags.rest_api_port:
        check_address(flags, flags.rest_api_port, REST_PORT_ADVICE)
    if flags.grpc_socket_path:
        check_socket_path(flags.grpc_socket_path)


def _configure_logging() -> None:
    # Before TensorFlow configures it. Its messages about exports and sessions are no concern here.
    log = logging.StreamHandler()
    log.setFormatter(_OneLineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[log])
    for library in ("absl", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)


class _OneLineFormatter(logging.Formatter):
    """Keeps a message, into which callers' words may go, from looking like two."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`; tracebacks are added after this."""
        return one_line(super().formatMessage(record))


def _serve_pretrained(flags: ServerFlags) -> None:
    from emotion_ai.server.pretrained import add_lite_model, pretrained_registry

    _log.info("exporting the pretrained networks, which takes some seconds")
    with pretrained_registry() as registry:
        if flags.prefer_tflite_model:
            add_lite_model(registry)
        # It has just been exported, and is no release.
        update = {"registry": registry, "pretrained": False, "allow_unverified_releases": True}
        _serve(flags.model_copy(update=update))


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

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        health = Health()
        poller = ConfigPoller(self._source, self._flags, self._manager, health)
        self._check_initial_config(poller)
        stop_polling = threading.Event()
        polling = threading.Thread(
            target=poller.run, args=(stop_polling,), name="config-poller", daemon=True
        )
        polling.start()
        if await _finishes_before(poller.started, stop):
            await self._serve(stop, health, poller)
        stop_polling.set()
        # A thread that loads a model when Python ends aborts the process.
        await asyncio.to_thread(polling.join, _LAST_LOAD_SECONDS)
        _log.info("stopped")

    async def _serve(self, stop: asyncio.Event, health: Health, poller: ConfigPoller) -> None:
        flags = self._flags
        limits = Limits(
            flags.max_requests(), max(flags.max_bytes_in_progress, message_limit(flags))
        )
        prediction = PredictionService(
            self._manager, self._batch_policy, self._monitoring.metrics, limits
        )
        model = ModelService(self._manager, poller, flags)
        server = create_server(flags)
        arrivals = Arrivals(message_limit(flags))
        server.add_generic_rpc_handlers(
            (
                prediction.handler(arrivals),
                model.handler(arrivals),
                inference_handler(arrivals, self._manager, health.is_serving, prediction),
                health.handler(arrivals),
            )
        )
        port = bind(server, flags, self._credentials)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        with contextlib.ExitStack() as stack:
            rest_port = self._start_rest(stack, health, prediction)
            await server.start()
            self._print_address(port, rest_port)
            await stop.wait()
            _log.info(
                "draining: no new requests, at most %.0f s for those in progress", DRAIN_SECONDS
            )
            health.drain()
            # gRPC would cancel requests that have arrived and have not begun. Let them begin, and
            # hold the answers meanwhile, which would bring new requests.
            # https://github.com/grpc/grpc/issues/41785
            with prediction.hold_answers():
                await asyncio.sleep(_HOLD_SECONDS)
                stopping = asyncio.create_task(server.stop(DRAIN_SECONDS))
                # It tells the callers to go before they have their answers.
                await asyncio.sleep(0)
            arrivals.end()
            await stopping
            # Answers over REST, which end meanwhile, need the event loop.
            await asyncio.to_thread(stack.close)

    def _check_initial_config(self, poller: ConfigPoller) -> None:
        """Reject an invalid configuration; for a registry, only report a missing one.

        Raises:
            InputError: The configuration of the flags is invalid.
            Unavailable: It cannot be read.
        """
        registry = self._flags.registry
        try:
            config = self._source.read()
            if config is not None and not registry:
                poller.check_config(config)
                check_base_paths(config)
        except StatusError as error:
            raise InputError(
                f"{self._source.address}: {error}; --allow_version_labels_for_unavailable_models "
                "allows a label before its version is loaded"
            ) from None
        except (InputError, Unavailable):
            if not registry:
                raise
            # The poller logs it and tries again.
            return
        if config is None:
            _print_line(f"waiting for the first rollout: no {CONFIG_NAME} in {registry} yet")

    def _start_rest(
        self, stack: contextlib.ExitStack, health: Health, prediction: PredictionService
    ) -> int | None:
        """Start the REST API if a flag asks for it; returns its port."""
        flags = self._flags
        if not flags.rest_api_port:
            return None
        # As in TensorFlow Serving, 0 is no timeout.
        timeout_s = flags.rest_api_timeout_in_ms / 1e3 or None
        return stack.enter_context(
            rest_server(
                flags.host,
                flags.rest_api_port,
                timeout_s,
                self._manager,
                health.is_serving,
                # Callers that have to show a certificate cannot over HTTP.
                None if self._credentials else prediction,
                self._monitoring,
            )
        )

    def _print_address(self, port: int, rest_port: int | None) -> None:
        flags = self._flags
        name = MODEL_NAME if flags.registry or flags.model_config_file else flags.model_name
        source = f"registry {flags.registry}" if flags.registry else self._source.address
        rest = "" if rest_port is None else f", REST on {flags.address(rest_port)}"
        _print_line(f"serving {name} on {flags.address(port)} ({source}){rest}")


async def _finishes_before(future: Future[None], stop: asyncio.Event) -> bool:
    """Wait for a future or an event; returns whether the future came first, or raises its error."""
    finished = asyncio.wrap_future(future)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((finished, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not finished.done():
        return False
    finished.result()
    return True


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _metrics_path(flags: ServerFlags) -> str | None:
    if not flags.monitoring_config_file:
        return None
    config = read_parameters("MonitoringConfig", flags.monitoring_config_file).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None
