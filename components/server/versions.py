"""Loads, serves and unloads the versions of models.

Follows TensorFlow Serving's AspiredVersionsManager with its AvailabilityPreservingPolicy
(tensorflow_serving/core): a version is unloaded only when another one is available, so a new
version that does not load leaves the old one serving. Does not import TensorFlow: the caller
passes the function that loads a version.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic

from grpc import StatusCode

from emotion_ai.server.configuration import ModelPlan
from emotion_ai.server.errors import StatusError, invalid_argument, not_found
from emotion_ai.server.version_state import Model, RetryPolicy, State, Version, VersionStatus

_log = logging.getLogger(__name__)


class VersionManager(Generic[Model]):
    """Holds models by name and version. Thread-safe; `use` never waits for a load.

    Args:
        load: Called with `(base_path, version)`; returns a model or raises.
        unload: Called with a model that is no longer planned once no request uses it.
        retry: When to load a failed version again.
    """

    def __init__(
        self,
        load: Callable[[str, int], Model],
        unload: Callable[[Model], None] = lambda model: None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._load_model = load
        self._unload = unload
        self._retry = retry or RetryPolicy()
        self._lock = threading.Lock()
        self._apply_lock = threading.Lock()
        self._models: dict[str, dict[int, Version[Model]]] = {}
        # By the name of each planned model.
        self._labels: dict[str, dict[str, int]] = {}
        self._was_available = False

    def apply(self, plans: list[ModelPlan]) -> None:
        """Load planned versions, then unload those that are not planned any more.

        Concurrent calls run one after the other. `statuses` reports a version that does not load.
        It is retried by the retry policy, or at once after a plan without it.
        """
        with self._apply_lock:
            with self._lock:
                removed = set(self._models) - {plan.name for plan in plans}
                self._labels = {plan.name: dict(plan.labels) for plan in plans}
            for name in removed:
                self._unload_except(name, keep=frozenset())
                self._forget_failures(name, keep=frozenset())
            for plan in plans:
                for version in plan.versions:
                    self._load(plan, version)
                if not plan.versions or self._any_available(plan):
                    self._unload_except(plan.name, keep=frozenset(plan.versions))
                self._forget_failures(plan.name, keep=frozenset(plan.versions))

    def _load(self, plan: ModelPlan, version: int) -> None:
        with self._lock:
            old = self._models.setdefault(plan.name, {}).get(version)
            if old is not None and not self._is_due(old):
                return
            entry = self._models[plan.name][version] = Version(State.LOADING)
            if old is not None and old.code:
                entry.retries_left = old.retries_left - 1
            else:
                entry.retries_left = self._retry.max_retries
        started = time.monotonic()
        try:
            model = self._load_model(plan.base_path, version)
        except Exception as error:
            message = f"{error}".strip() or type(error).__name__
            _log.error("%s version %d does not load: %s", plan.name, version, message)
            with self._lock:
                entry.state = State.END
                entry.code, entry.error = StatusCode.UNKNOWN.value[0], message
                entry.retry_at = time.monotonic() + self._retry.interval_s
            return
        with self._lock:
            entry.model, entry.state = model, State.AVAILABLE
            self._was_available = True
        seconds = time.monotonic() - started
        _log.info("%s version %d is available: loaded in %.1f s", plan.name, version, seconds)

    def _is_due(self, entry: Version[Model]) -> bool:
        """Whether to load (again) a version that was planned before."""
        if entry.state == State.AVAILABLE:
            return False
        if not entry.code:
            return True
        return entry.retries_left > 0 and time.monotonic() >= entry.retry_at

    def _any_available(self, plan: ModelPlan) -> bool:
        with self._lock:
            versions = self._models.get(plan.name, {})
            return any(
                number in plan.versions and entry.state == State.AVAILABLE
                for number, entry in versions.items()
            )

    def _unload_except(self, name: str, keep: frozenset[int]) -> None:
        with self._lock:
            to_unload = [
                (number, entry)
                for number, entry in self._models.get(name, {}).items()
                if number not in keep and entry.state == State.AVAILABLE
            ]
            for number, entry in to_unload:
                entry.state = State.UNLOADING
                self._unload_if_unused(entry)
                _log.info("%s version %d is unloaded", name, number)

    def _unload_if_unused(self, entry: Version[Model]) -> None:
        if entry.state == State.UNLOADING and entry.in_flight == 0:
            if entry.model is not None:
                self._unload(entry.model)
            entry.state, entry.model = State.END, None

    def _forget_failures(self, name: str, keep: frozenset[int]) -> None:
        # If the version is planned again, it is loaded at once, without the old error.
        with self._lock:
            versions = self._models.get(name, {})
            for number in [n for n, entry in versions.items() if entry.code]:
                if number not in keep:
                    del versions[number]

    def check_labels(
        self, labels: Mapping[str, Mapping[str, int]], allow_unavailable: bool
    ) -> None:
        """Check that labels refer to available versions.

        Source: ServerCore::UpdateModelVersionLabelMap in model_servers/server_core.cc.

        Args:
            labels: Versions by model name and label.
            allow_unavailable: Check only labels that already refer to another version.

        Raises:
            StatusError: FAILED_PRECONDITION for a label of a version that is not available.
        """
        with self._lock:
            for name, model_labels in labels.items():
                versions = self._models.get(name, {})
                for label, number in model_labels.items():
                    current = self._labels.get(name, {}).get(label, number)
                    if allow_unavailable and current == number:
                        continue
                    if number not in versions or versions[number].state != State.AVAILABLE:
                        raise StatusError(
                            StatusCode.FAILED_PRECONDITION,
                            f"Request to assign label to version {number} of model {name}, which "
                            "is not currently available for inference",
                        )

    def model_names(self) -> set[str]:
        """Return the names of the planned models."""
        with self._lock:
            return set(self._labels)

    @contextlib.contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, Model]]:
        """Keep the version of a `ModelSpec` loaded during a `with` block.

        Args:
            spec: Without a version or label, it selects the highest available version.

        Yields:
            The version's number and its model.

        Raises:
            StatusError: INVALID_ARGUMENT for a missing name or an unknown label; NOT_FOUND for a
                version that is not available; UNAVAILABLE until any version has been available.
        """
        number, entry, model = self._acquire(spec)
        try:
            yield number, model
        finally:
            with self._lock:
                entry.in_flight -= 1
                self._unload_if_unused(entry)

    def _acquire(self, spec: Any) -> tuple[int, Version[Model], Model]:
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        with self._lock:
            if not self._was_available:
                # Not NOT_FOUND: callers repeat this elsewhere, or until a model is loaded.
                raise StatusError(StatusCode.UNAVAILABLE, "no model has been loaded yet")
            requested = self._requested_version(spec)
            versions = self._models.get(spec.name, {})
            available = [n for n, entry in versions.items() if entry.state == State.AVAILABLE]
            number = max(available, default=-1) if requested is None else requested
            if number not in available:
                servable = f"Specific({spec.name}, {requested})"
                if requested is None:
                    servable = f"Latest({spec.name})"
                raise not_found(f"Servable not found for request: {servable}")
            entry = versions[number]
            model = entry.model
            if model is None:
                raise StatusError(StatusCode.INTERNAL, f"version {number} is available but empty")
            entry.in_flight += 1
            return number, entry, model

    def _requested_version(self, spec: Any) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return int(spec.version.value)
        if choice == "version_label":
            label = spec.version_label
            try:
                return self._labels[spec.name][label]
            except KeyError:
                raise invalid_argument(f"Unrecognized servable version label: {label}") from None
        return None

    def statuses(self, name: str, number: int | None = None) -> list[VersionStatus]:
        """Return the states of a model's versions, the newest first, unloaded ones included.

        Args:
            name: The model's name.
            number: Return only this version.

        Raises:
            StatusError: NOT_FOUND for an unknown model or version.
        """
        with self._lock:
            versions = self._models.get(name, {})
            if number is not None and number not in versions:
                raise not_found(f"Could not find version {number} of model {name}")
            if not versions:
                raise not_found(f"Could not find any versions of model {name}")
            return [
                VersionStatus(known, entry.state, entry.code, entry.error)
                for known, entry in sorted(versions.items(), reverse=True)
                if number in (None, known)
            ]

    def is_available(self, name: str) -> bool:
        """Whether a version of the model is available."""
        with self._lock:
            versions = self._models.get(name, {})
            return any(entry.state == State.AVAILABLE for entry in versions.values())

    def has_failed(self, name: str) -> bool:
        """Whether the model has versions, none of which loads or will be tried again."""
        with self._lock:
            entries = self._models.get(name, {}).values()
            return bool(entries) and all(e.code and e.retries_left <= 0 for e in entries)

    def is_ready(self) -> bool:
        """Whether a model is planned, and each planned one that has versions has one available."""
        with self._lock:
            planned = [self._models[name] for name in self._labels if self._models.get(name)]
            return bool(planned) and all(
                any(entry.state == State.AVAILABLE for entry in versions.values())
                for versions in planned
            )

    def next_retry(self) -> float:
        """Return the `time.monotonic()` of the next retry of a failed version, or infinity."""
        with self._lock:
            return min(
                (
                    entry.retry_at
                    for versions in self._models.values()
                    for entry in versions.values()
                    if entry.code and entry.retries_left > 0
                ),
                default=float("inf"),
            )
