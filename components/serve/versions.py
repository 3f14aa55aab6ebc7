"""The versions a server holds: loaded, served and dropped as a model configuration says.

Follows TensorFlow Serving's AspiredVersionsManager with its AvailabilityPreservingPolicy
(tensorflow_serving/core): a version goes only when another one answers, so that a new version
which does not load leaves the old one serving. Knows no TensorFlow: how a version is loaded is a
function given from outside.
"""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

from grpc import StatusCode

from components.serve.configuration import ModelPlan
from components.serve.status import Refusal, invalid, not_found

# TensorFlow Serving's --load_retry_interval_micros.
RETRY_SECONDS = 60.0

_log = logging.getLogger(__name__)

Model = TypeVar("Model")


class State(IntEnum):
    """tensorflow.serving.ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


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


class VersionManager(Generic[Model]):
    """Models by name and version; `load(base_path, version)` returns a model or raises.

    `apply` may be called from several threads; loads then follow one another. `use` never waits
    for a load.
    """

    def __init__(self, load: Callable[[str, int], Model]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._applying = threading.Lock()
        self._models: dict[str, dict[int, _Version[Model]]] = {}
        self._labels: dict[str, dict[str, int]] = {}

    def apply(self, plans: list[ModelPlan]) -> None:
        """Load what is planned and missing, then drop what is not planned any more.

        A version that does not load is reported by `statuses` and tried again after
        `RETRY_SECONDS`, or at once when it was left out of the plan in between.
        """
        with self._applying:
            with self._lock:
                gone = set(self._models) - {plan.name for plan in plans}
            for name in gone:
                self._retire(name, keep=frozenset())
            for plan in plans:
                for version in plan.versions:
                    self._ensure(plan, version)
                if not plan.versions or self._any_available(plan):
                    self._retire(plan.name, keep=frozenset(plan.versions))
                self._forget_failures(plan)
                self._set_labels(plan)

    def _ensure(self, plan: ModelPlan, version: int) -> None:
        with self._lock:
            entry = self._models.setdefault(plan.name, {}).get(version)
            if entry is not None and (
                entry.state == State.AVAILABLE or time.monotonic() < entry.retry_at
            ):
                return
            entry = self._models[plan.name][version] = _Version(State.LOADING)
        started = time.monotonic()
        try:
            model = self._load(plan.base_path, version)
        except Exception as error:
            message = f"{error}".strip() or type(error).__name__
            _log.error("%s version %d does not load: %s", plan.name, version, message)
            with self._lock:
                entry.state = State.END
                entry.code, entry.error = StatusCode.UNKNOWN.value[0], message
                entry.retry_at = time.monotonic() + RETRY_SECONDS
            return
        with self._lock:
            entry.model, entry.state = model, State.AVAILABLE
        _log.info("%s version %d answers: %.1f s", plan.name, version, time.monotonic() - started)

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
        if retired:
            # A loaded SavedModel holds reference cycles with all its weights.
            gc.collect()

    def _end_if_drained(self, entry: _Version[Model]) -> None:
        if entry.state == State.UNLOADING and entry.in_flight == 0:
            entry.state, entry.model = State.END, None

    def _forget_failures(self, plan: ModelPlan) -> None:
        # Whoever plans the version again wants a new attempt, and no old answer about it.
        with self._lock:
            versions = self._models.get(plan.name, {})
            for number in [n for n, entry in versions.items() if entry.code]:
                if number not in plan.versions:
                    del versions[number]

    def _set_labels(self, plan: ModelPlan) -> None:
        with self._lock:
            versions = self._models.get(plan.name, {})
            self._labels[plan.name] = {
                label: number
                for label, number in plan.labels.items()
                if number in versions and versions[number].state == State.AVAILABLE
            }

    @contextlib.contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, Model]]:
        """The version a `ModelSpec` asks for, kept loaded for the length of the block.

        Without a version or label that is the highest one available. Raises `Refusal`:
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
                asked = f"Latest({spec.name})" if wanted is None else f"{spec.name}, {wanted}"
                raise not_found(f"Servable not found for request: {asked}")
            entry = versions[number]
            model = entry.model
            if model is None:
                raise Refusal(StatusCode.INTERNAL, f"version {number} is available but empty")
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

    def statuses(self, spec: Any) -> list[VersionStatus]:
        """State of every known version of a `ModelSpec`'s model, or of the one it names.

        Raises `Refusal` NOT_FOUND where there is none.
        """
        with self._lock:
            versions = self._models.get(spec.name, {})
            wanted = self._wanted(spec)
            if wanted is not None and wanted not in versions:
                raise not_found(f"Could not find version {wanted} of model {spec.name}")
            if not versions:
                raise not_found(f"Could not find any versions of model {spec.name}")
            return [
                VersionStatus(number, entry.state, entry.code, entry.error)
                for number, entry in sorted(versions.items())
                if wanted in (None, number)
            ]

    def answers(self) -> bool:
        """Whether at least one model is there and each has a version available."""
        with self._lock:
            return bool(self._models) and all(
                any(entry.state == State.AVAILABLE for entry in versions.values())
                for versions in self._models.values()
                if versions
            )
