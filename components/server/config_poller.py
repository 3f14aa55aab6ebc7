"""Polls the configuration and the file system, and loads or unloads versions accordingly."""

import logging
import threading
import time
from concurrent.futures import Future
from typing import Any

from grpc import StatusCode

from emotion_ai.errors import EmotionAIError, InputError, Unavailable
from emotion_ai.server.configuration import ConfigSource, ModelPlan, check_models, plan_models
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import Health
from emotion_ai.server.versions import VersionManager

_MAX_WAIT_S = 3600.0
# After a defect.
_RETRY_S = 10.0
# A look that takes longer, the loading of new versions included, makes the health NOT_SERVING.
MAX_LOOK_S = 600.0
_log = logging.getLogger(__name__)


class ConfigPoller:
    """Reads the configuration periodically and applies it to the version manager.

    Like TensorFlow Serving it has two intervals: one for the configuration, and one for the
    versions in the models' folders.

    Attributes:
        started: Has a result once the server may open its ports: the configured models are
            available, or it serves a registry and has tried its champion or found none. Has an
            `Unavailable` if the models will not load.
    """

    def __init__(
        self, source: ConfigSource, flags: ServerFlags, manager: VersionManager[Any], health: Health
    ) -> None:
        self._source = source
        self._manager = manager
        self._health = health
        self._allow_labels_for_unavailable = flags.allow_version_labels_for_unavailable_models
        seconds = flags.model_config_file_poll_wait_seconds
        self._config_interval_s = (1.0 if flags.registry else 0.0) if seconds is None else seconds
        self._folder_interval_s = flags.file_system_poll_wait_seconds
        self._serves_registry = bool(flags.registry)
        self._lock = threading.Lock()
        self._config: Any | None = None
        # Of the first configuration: a reload names no others.
        self._base_paths: set[str] | None = None
        self._plans: list[ModelPlan] = []
        self._last_error = self._empty = ""
        self._is_readable = False
        self._config_due = self._folders_due = time.monotonic()
        self.started: Future[None] = Future()

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set.

        A missing, unreadable or invalid configuration changes nothing and is logged once.
        """
        while not stop.is_set():
            try:
                next_due = self._look(time.monotonic())
            except Exception as error:
                # The last resort, for defects: the next look may succeed.
                _log.exception("the configuration could not be followed; the next look is in 10 s")
                next_due = time.monotonic() + _RETRY_S
                self._config_due = self._folders_due = next_due
                if not self.started.done() and not self._serves_registry:
                    self.started.set_exception(error)
            stop.wait(max(0.0, min(next_due - time.monotonic(), _MAX_WAIT_S)))

    def _look(self, now: float) -> float:
        """Read what is due and apply it; returns when to look again."""
        error = ""
        if now >= self._config_due:
            self._config_due = _next_due(now, self._config_interval_s)
            error = self._read_config()
            self._folders_due = now
        if now >= self._folders_due:
            self._folders_due = _next_due(now, self._folder_interval_s)
            error = error or self._read_folders()
            if error and error != self._last_error:
                serving = "; serving goes on as before" if self._manager.is_ready() else ""
                _log.error("%s%s", error, serving)
            self._last_error = error
        with self._lock:
            self._manager.apply(self._plans)
        next_due = self._report_health()
        if not self.started.done():
            self._check_start(error, next_due)
        return next_due

    def _report_health(self) -> float:
        """Report whether the server serves; returns when to look again."""
        next_due = min(self._config_due, self._folders_due, self._manager.next_retry())
        # A look that hangs, in a storage or in a load, is told.
        wait_s = max(0.0, next_due - time.monotonic())
        self._health.set_serving(self._manager.is_ready(), wait_s + MAX_LOOK_S)
        return next_due

    def _read_config(self) -> str:
        """Take over the current configuration; returns an error message, or ""."""
        try:
            config = self._source.read()
            self._is_readable = True
            if config is None:
                if self._manager.is_ready():
                    return f"{self._source.address} is gone"
                # Before the first rollout there is none, and that is no error.
                self._tell_empty(
                    f"{self._source.address}: no such file yet; waiting for the first rollout, "
                    "which writes it"
                )
                return ""
            self.check_config(config)
        except (EmotionAIError, StatusError, OSError, ValueError) as error:
            self._is_readable = not isinstance(error, Unavailable)
            return f"{self._source.address}: {error}"
        with self._lock:
            self._config = config
            if self._base_paths is None:
                self._base_paths = _base_paths(config)
        return ""

    def check_config(self, config: Any) -> None:
        """Check a `ModelServerConfig` before it is applied.

        Raises:
            InputError: The configuration is invalid.
            StatusError: FAILED_PRECONDITION for a label of a version that is not available.
        """
        check_models(config)
        labels = {model.name: model.version_labels for model in config.model_config_list.config}
        self._manager.check_labels(labels, self._allow_labels_for_unavailable)

    def _check_base_paths(self, config: Any) -> None:
        for path in sorted(_base_paths(config) - (self._base_paths or set())):
            raise StatusError(
                StatusCode.PERMISSION_DENIED,
                f"base_path {path}: the server was started without it; a reload may name only the "
                "folders of the start",
            )

    def _read_folders(self) -> str:
        """Plan the versions that are in the models' folders; returns an error message, or ""."""
        # Locked: otherwise a reload in between would be undone by the older config.
        with self._lock:
            if self._config is None:
                return ""
            try:
                self._plans = plan_models(self._config)
            except (EmotionAIError, OSError, ValueError) as error:
                return str(error)
            empty = _describe_empty(self._plans)
        self._tell_empty(empty)
        return ""

    def _tell_empty(self, empty: str) -> None:
        """Say once what is waited for."""
        if empty and empty != self._empty:
            _log.warning("%s", empty)
        self._empty = empty

    def _check_start(self, error: str, next_due: float) -> None:
        """Decide whether the server opens its ports, gives up, or goes on trying to start."""
        if self._serves_registry:
            # A rollout needs the server's answer that a release does not load.
            if self._is_readable:
                self.started.set_result(None)
            return
        failed = [plan.name for plan in self._plans if self._manager.has_failed(plan.name)]
        if failed:
            error = self._describe_failures(failed)
            self.started.set_exception(Unavailable(f"{self._source.address}: {error}"))
        elif self._manager.is_ready():
            self.started.set_result(None)
        elif next_due == float("inf"):
            message = error or self._empty or "no models"
            self.started.set_exception(Unavailable(f"{self._source.address}: {message}"))

    def reload(self, config: Any) -> None:
        """Apply a configuration until the next poll; returns once its new models are loaded.

        Args:
            config: A `ModelServerConfig` message.

        Raises:
            StatusError: PERMISSION_DENIED for a folder that the first configuration does not name.
                Else with TensorFlow Serving's codes: INVALID_ARGUMENT for an invalid
                configuration, FAILED_PRECONDITION for a label of a version that is not available,
                UNKNOWN for a new model of which no version loads.
            Unavailable: A model's folder cannot be read.
        """
        if config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        with self._lock:
            try:
                self.check_config(config)
                self._check_base_paths(config)
                known = self._manager.model_names()
                plans = plan_models(config)
            except InputError as error:
                raise invalid_argument(str(error)) from None
            self._config, self._plans = config, plans
            self._manager.apply(plans)
        self._report_health()
        failed = [
            plan.name
            for plan in plans
            if plan.name not in known and not self._manager.is_available(plan.name)
        ]
        if failed:
            raise StatusError(StatusCode.UNKNOWN, self._describe_failures(failed))

    def _describe_failures(self, names: list[str]) -> str:
        details = "".join(f"{self._load_error(name)}, " for name in names)
        return f"{len(names)} model(s) did not become available: {{{details}}}"

    def _load_error(self, name: str) -> str:
        try:
            newest = self._manager.statuses(name)[0]
        except StatusError as error:
            return f"{{{error.message}}}"
        servable = f"{{name: {name} version: {newest.version}}}"
        return f"{{{servable} due to error: {newest.error}}}"


def _base_paths(config: Any) -> set[str]:
    return {model.base_path for model in config.model_config_list.config}


def _describe_empty(plans: list[ModelPlan]) -> str:
    """Return which models have no version, or ""."""
    empty = [f"{plan.name} in {plan.base_path}" for plan in plans if not plan.versions]
    names = ", ".join(empty)
    return f"no versions of {names}; expected a folder named by a number, as 1" if empty else ""


def _next_due(now: float, interval_s: float) -> float:
    """Return when to poll again; an interval of 0 polls only once."""
    return now + interval_s if interval_s > 0 else float("inf")
