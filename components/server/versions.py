"""The versions a server holds: loaded, served and dropped as a model configuration says.

Follows TensorFlow Serving's AspiredVersionsManager with its AvailabilityPreservingPolicy
(tensorflow_serving/core): a version goes only when another one answers, so that a new version
which does not load leaves the old one serving. Knows no TensorFlow: how a version is loaded is a
function given from outside.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

from grpc import StatusCode

from emotion_ai.server.configuration import ModelPlan
from emotion_ai.server.errors import StatusError, invalid, not_found

# TensorFlow Serving's --load_retry_interval_micros and --max_num_load_retries.
RETRY_SECONDS = 60.0
MAX_RETRIES = 5

_log = logging.getLogger(__name__)

Model = TypeVar("Model")


class State(IntEnum):
    """tensorflow.serving.ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class RetryPolicy(NamedTuple):
    """How often, and how many seconds apart, a version that did not load is tried again."""

    seconds: float = RETRY_SECONDS
    times: int = MAX_RETRIES


class VersionStatus(NamedTuple):
    """What GetModelStatus tells about a version; `code` is 0 where nothing went wrong."""

    version: int
    state: State
    code: int
    error: str


@dataclass
class _Version(Generic[Model]):
    state: State = State.START
    model: Model | None = None
    in_flight: int = 0
    code: int = 0
    error: str = ""
    retry_at: float = 0.0
    retries_left: int = 0


class VersionManager(Generic[Model]):
    """Models by name and version; `load(base_path, version)` returns a model or raises.

    `unload(model)` is called once nobody uses a model that was dropped. `apply` may be called from
    several threads; loads then follow one another. `use` never waits for a load.
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
        self._applying = threading.Lock()
        self._models: dict[str, dict[int, _Version[Model]]] = {}
        self._labels: dict[str, dict[str, int]] = {}

    def apply(self, plans: list[ModelPlan]) -> None:
        """Load what is planned and missing, then drop what is not planned any more.

        A version that does not load is reported by `statuses` and tried again as the retry policy
        says, or at once when it was left out of the plan in between.
        """
        with self._applying:
            with self._lock:
                gone = set(self._models) - {plan.name for plan in plans}
                self._labels = {plan.name: dict(plan.labels) for plan in plans}
            for name in gone:
                self._retire(name, keep=frozenset())
            for plan in plans:
                for version in plan.versions:
                    self._load(plan, version)
                if not plan.versions or self._any_available(plan):
                    self._retire(plan.name, keep=frozenset(plan.versions))
                self._forget_failures(plan)

    def _load(self, plan: ModelPlan, version: int) -> None:
        with self._lock:
            old = self._models.setdefault(plan.name, {}).get(version)
            if old is not None and not self._is_due(old):
                return
            entry = self._models[plan.name][version] = _Version(State.LOADING)
            again = old is not None and old.code
            entry.retries_left = old.retries_left - 1 if old and again else self._retry.times
        started = time.monotonic()
        try:
            model = self._load_model(plan.base_path, version)
        except Exception as error:
            message = f"{error}".strip() or type(error).__name__
            _log.error("%s version %d does not load: %s", plan.name, version, message)
            with self._lock:
                entry.state = State.END
                entry.code, entry.error = StatusCode.UNKNOWN.value[0], message
                entry.retry_at = time.monotonic() + self._retry.seconds
            return
        with self._lock:
            entry.model, entry.state = model, State.AVAILABLE
        _log.info("%s version %d answers: %.1f s", plan.name, version, time.monotonic() - started)

    def _is_due(self, entry: _Version[Model]) -> bool:
        """Whether a version that is planned and known has to be loaded (again)."""
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

    def _retire(self, name: str, keep: frozenset[int]) -> None:
        with self._lock:
            retired = [
                (number, entry)
                for number, entry in self._models[name].items()
                if number not in keep and entry.state == State.AVAILABLE
            ]
            for number, entry in retired:
                entry.state = State.UNLOADING
                self._end_if_drained(entry)
                _log.info("%s version %d is dropped", name, number)

    def _end_if_drained(self, entry: _Version[Model]) -> None:
        if entry.state == State.UNLOADING and entry.in_flight == 0:
            if entry.model is not None:
                self._unload(entry.model)
            entry.state, entry.model = State.END, None

    def _forget_failures(self, plan: ModelPlan) -> None:
        # Whoever plans the version again wants a new attempt, and no old answer about it.
        with self._lock:
            versions = self._models.get(plan.name, {})
            for number in [n for n, entry in versions.items() if entry.code]:
                if number not in plan.versions:
                    del versions[number]

    def check_labels(
        self, labels: Mapping[str, Mapping[str, int]], new_labels_anywhere: bool
    ) -> None:
        """Raise `StatusError` FAILED_PRECONDITION for a label of a version that is not available.

        With `new_labels_anywhere` that holds only for a label that stands for another version now.
        Source: ServerCore::UpdateModelVersionLabelMap in model_servers/server_core.cc.
        """
        with self._lock:
            for name, model_labels in labels.items():
                versions = self._models.get(name, {})
                for label, number in model_labels.items():
                    now = self._labels.get(name, {}).get(label, number)
                    if new_labels_anywhere and now == number:
                        continue
                    if number not in versions or versions[number].state != State.AVAILABLE:
                        raise StatusError(
                            StatusCode.FAILED_PRECONDITION,
                            f"Request to assign label to version {number} of model {name}, which "
                            "is not currently available for inference",
                        )

    def names(self) -> set[str]:
        """The models of the last plans."""
        with self._lock:
            return set(self._labels)

    @contextlib.contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, Model]]:
        """The version a `ModelSpec` asks for, kept loaded for the length of the block.

        Without a version or label that is the highest one available. Raises `StatusError`:
        INVALID_ARGUMENT without a name or for an unknown label, NOT_FOUND where nothing is served.
        """
        number, entry, model = self._acquire(spec)
        try:
            yield number, model
        finally:
            with self._lock:
                entry.in_flight -= 1
                self._end_if_drained(entry)

    def _acquire(self, spec: Any) -> tuple[int, _Version[Model], Model]:
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        with self._lock:
            wanted = self._wanted(spec)
            versions = self._models.get(spec.name, {})
            available = [n for n, entry in versions.items() if entry.state == State.AVAILABLE]
            number = max(available, default=-1) if wanted is None else wanted
            if number not in available:
                latest = wanted is None
                asked = f"Latest({spec.name})" if latest else f"Specific({spec.name}, {wanted})"
                raise not_found(f"Servable not found for request: {asked}")
            entry = versions[number]
            model = entry.model
            if model is None:
                raise StatusError(StatusCode.INTERNAL, f"version {number} is available but empty")
            entry.in_flight += 1
            return number, entry, model

    def _wanted(self, spec: Any) -> int | None:
        choice = spec.WhichOneof("version_choice")
        if choice == "version":
            return int(spec.version.value)
        if choice == "version_label":
            label = spec.version_label
            try:
                return self._labels[spec.name][label]
            except KeyError:
                raise invalid(f"Unrecognized servable version label: {label}") from None
        return None

    def statuses(self, name: str, number: int | None = None) -> list[VersionStatus]:
        """State of every version of a model that is or was held, the newest first, or of one.

        Raises `StatusError` NOT_FOUND where there is none.
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
        """Whether a version of the model answers."""
        with self._lock:
            versions = self._models.get(name, {})
            return any(entry.state == State.AVAILABLE for entry in versions.values())

    def answers(self) -> bool:
        """Whether at least one model is there and each has a version available."""
        with self._lock:
            return bool(self._models) and all(
                any(entry.state == State.AVAILABLE for entry in versions.values())
                for versions in self._models.values()
                if versions
            )
