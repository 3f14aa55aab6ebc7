"""What the synchronous and the asynchronous client have in common."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from emotion_ai.client.channel import (
    DEFAULT_TIMEOUT_S,
    Tls,
    check_address,
    open_channel,
    parse_prediction,
    unary_method,
)
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.requests import Version
from emotion_ai.serving_api import messages


class BaseClient:
    """Holds what `Client` was made with, and the channel."""

    # `grpc` or `grpc.aio`.
    _grpc: ModuleType

    def __init__(
        self,
        address: str,
        faces: str | Detector = "yunet",
        version: Version = None,
        tls: Tls | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.address = check_address(address)
        self.detector = open_detector(faces) if isinstance(faces, str) else faces
        self.version = version
        self.timeout = timeout
        self._channel = open_channel(self._grpc, address, tls)
        # A wrong address is told at once. A server that has answered before may be starting again:
        # calls wait for it, as long as their timeout allows.
        self._has_answered = False
        self._predict = self._method(messages.PREDICTION_SERVICE, "Predict", parse_prediction)

    def _method(self, service: str, method: str, parse: Callable[[bytes], Any]) -> Any:
        return unary_method(self._channel, service, method, parse)
