"""Polls the configuration and the file system, and loads or unloads versions accordingly."""

import logging
import threading
import time
from typing import Any

from grpc import StatusCode

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.configuration import ConfigSource, check_models, plan_models
from emotion_ai.server.errors import StatusError, invalid_argument
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import Health
from emotion_ai.server.versions import VersionManager

_MAX_WAIT_S = 3600.0
_log = logging.getLogger(__name__)


class ConfigPoller:
    """Reads the configuration periodically and applies it to the version manager.

    Like TensorFlow Serving it has two intervals: one for the configuration, and one for the
    versions in the models' folders.
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
        self._lock = threading.Lock()
        self._config: Any | None = None
        self._last_error = ""

    def run(self, stop: threading.Event) -> None:
        """Poll until `stop` is set.

        A missing, unreadable or invalid configuration changes nothing and is logged once.
        """
        config_due = folders_due = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            error = ""
            if now >= config_due:
                config_due = _next_due(now, self._config_interval_s)
                error = self._read_config()
                folders_due = now
            if now >= folders_due:
                folders_due = _next_due(now, self._folder_interval_s)
                error = error or self._apply_config()
                if error and error != self._last_error:
                    _log.error(error)
                self._last_error = error
                self._health.set_serving(self._manager.is_ready())
            next_due = min(config_due, folders_due, now + _MAX_WAIT_S)
            stop.wait(max(0.0, next_due - time.monotonic()))

    def _read_config(self) -> str:
        """Take over the current configuration; returns an error message, or ""."""
        try:
            config = self._source.read()
            if config is None:
                # Before the first rollout there is none, and that is no error.
                ready = self._manager.is_ready()
                return f"{self._source.address} is gone; serving goes on as before" if ready else ""
            self.check_config(config)
        except (InputError, Unavailable, StatusError) as error:
            return f"{self._source.address}: {error}; serving goes on as before"
        with self._lock:
            self._config = config
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

    def _apply_config(self) -> str:
        # Locked throughout: otherwise a reload in between would be undone by the older config.
        with self._lock:
            if self._config is None:
                return ""
            try:
                self._manager.apply(plan_models(self._config))
            except (InputError, Unavailable) as error:
                return f"{error}; serving goes on as before"
        return ""

    def reload(self, config: Any) -> None:
        """Apply a configuration until the next poll; returns once its new models are loaded.

        Args:
            config: A `ModelServerConfig` message.

        Raises:
            StatusError: With TensorFlow Serving's codes: INVALID_ARGUMENT for an invalid
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
                known = self._manager.model_names()
                plans = plan_models(config)
            except InputError as error:
                raise invalid_argument(str(error)) from None
            self._config = config
            self._manager.apply(plans)
        self._health.set_serving(self._manager.is_ready())
        failed = [
            self._load_error(plan.name)
            for plan in plans
            if plan.name not in known and not self._manager.is_available(plan.name)
        ]
        if failed:
            details = "".join(f"{error}, " for error in failed)
            raise StatusError(
                StatusCode.UNKNOWN,
                f"{len(failed)} model(s) did not become available: {{{details}}}",
            )

    def _load_error(self, name: str) -> str:
        try:
            newest = self._manager.statuses(name)[0]
        except StatusError as error:
            return f"{{{error.message}}}"
        servable = f"{{name: {name} version: {newest.version}}}"
        return f"{{{servable} due to error: {newest.error}}}"


def _next_due(now: float, interval_s: float) -> float:
    """Return when to poll again; an interval of 0 polls only once."""
    return now + interval_s if interval_s > 0 else float("inf")
