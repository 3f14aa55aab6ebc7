"""Keep the versions a server holds in step with its configuration and with the file system."""

import logging
import threading
import time
from typing import Any

from grpc import StatusCode

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.server.configuration import ConfigSource, check_models, plans_of
from emotion_ai.server.errors import StatusError, invalid
from emotion_ai.server.flags import ServerFlags
from emotion_ai.server.health import Health
from emotion_ai.server.versions import VersionManager

_log = logging.getLogger(__name__)


class ConfigPoller:
    """Reads the configuration again and again, and applies it to the manager.

    TensorFlow Serving has two clocks: one for the configuration, one for the versions in the
    models' folders.
    """

    def __init__(
        self, source: ConfigSource, flags: ServerFlags, manager: VersionManager[Any], health: Health
    ) -> None:
        self._source = source
        self._manager = manager
        self._health = health
        self._new_labels_anywhere = flags.allow_version_labels_for_unavailable_models
        seconds = flags.model_config_file_poll_wait_seconds
        self._config_seconds = (1.0 if flags.registry else 0.0) if seconds is None else seconds
        self._folder_seconds = flags.file_system_poll_wait_seconds
        self._lock = threading.Lock()
        self._config: Any | None = None
        self._last_error = ""

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set.

        A configuration that is missing, cannot be read or cannot be understood leaves everything
        as it is and is logged once.
        """
        config_due = folders_due = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            trouble = ""
            if now >= config_due:
                config_due = _next(now, self._config_seconds)
                trouble = self._read()
                folders_due = now
            if now >= folders_due:
                folders_due = _next(now, self._folder_seconds)
                trouble = trouble or self._apply()
                if trouble and trouble != self._last_error:
                    _log.error(trouble)
                self._last_error = trouble
                self._health.show(self._manager.answers())
            stop.wait(max(0.0, min(config_due, folders_due, now + 3600.0) - time.monotonic()))

    def _read(self) -> str:
        try:
            config = self._source.read()
            if config is None:
                gone = self._manager.answers()
                return f"{self._source.address} is gone; serving goes on as before" if gone else ""
            self.check(config)
        except (InputError, Unavailable, StatusError) as error:
            return f"{self._source.address}: {error}; serving goes on as before"
        with self._lock:
            self._config = config
        return ""

    def check(self, config: Any) -> None:
        """Raise `InputError` or `StatusError` for a configuration that is not to be taken over."""
        check_models(config)
        labels = {model.name: model.version_labels for model in config.model_config_list.config}
        self._manager.check_labels(labels, self._new_labels_anywhere)

    def _apply(self) -> str:
        # Held throughout: a reload in between would be undone by what was read before it.
        with self._lock:
            if self._config is None:
                return ""
            try:
                self._manager.apply(plans_of(self._config))
            except (InputError, Unavailable) as error:
                return f"{error}; serving goes on as before"
        return ""

    def reload(self, config: Any) -> None:
        """Hold what this configuration says, until the file is read again.

        Returns once its new models are loaded. Raises `StatusError` with TensorFlow Serving's
        codes: INVALID_ARGUMENT for a configuration that cannot be, FAILED_PRECONDITION for a label
        of a version that is not available, UNKNOWN where a new model has no version that loads.
        """
        if config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                "ModelConfigList is currently supported"
            )
        with self._lock:
            try:
                self.check(config)
                known = self._manager.names()
                plans = plans_of(config)
            except InputError as error:
                raise invalid(str(error)) from None
            self._config = config
            self._manager.apply(plans)
        self._health.show(self._manager.answers())
        failed = [
            self._failure(plan.name)
            for plan in plans
            if plan.name not in known and not self._manager.is_available(plan.name)
        ]
        if failed:
            listed = "".join(f"{failure}, " for failure in failed)
            raise StatusError(
                StatusCode.UNKNOWN,
                f"{len(failed)} model(s) did not become available: {{{listed}}}",
            )

    def _failure(self, name: str) -> str:
        try:
            newest = self._manager.statuses(name)[0]
        except StatusError as refusal:
            return f"{{{refusal.message}}}"
        place = f"{{name: {name} version: {newest.version}}}"
        return f"{{{place} due to error: {newest.error}}}"


def _next(now: float, seconds: float) -> float:
    return now + seconds if seconds > 0 else float("inf")
