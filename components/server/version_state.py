"""The state of a model's version, and when a failed one is loaded again."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeVar

Model = TypeVar("Model")


class State(IntEnum):
    """tensorflow.serving.ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


class RetryPolicy(NamedTuple):
    """When to load a failed version again; the defaults are TensorFlow Serving's."""

    interval_s: float = 60.0
    max_retries: int = 5


class VersionStatus(NamedTuple):
    """A version's state in GetModelStatus.

    Attributes:
        version: The version's number.
        state: Its state.
        code: The number of the gRPC status code; 0 is no error.
        error: Why it did not load, or "".
    """

    version: int
    state: State
    code: int
    error: str


@dataclass
class Version(Generic[Model]):
    """A version that is, was or could not be loaded; the manager's lock guards it.

    Attributes:
        state: Its state.
        model: The model while the version is loaded.
        in_flight: Requests that use the model.
        code: The number of the gRPC status code; 0 is no error.
        error: Why it did not load, or "".
        retry_at: The `time.monotonic()` of the next attempt after a failed one.
        retries_left: Attempts left after a failed one.
    """

    state: State = State.START
    model: Model | None = None
    in_flight: int = 0
    code: int = 0
    error: str = ""
    retry_at: float = 0.0
    retries_left: int = 0
