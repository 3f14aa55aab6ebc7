"""Ask a model server over gRPC: the embedded one or TensorFlow Serving, without TensorFlow."""

import re
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import grpc
import numpy as np
from numpy.typing import NDArray

from components.errors import BadInput, Unavailable
from components.predict import messages
from components.predict.messages import MODEL_NAME
from components.predict.tensors import fill_tensor, read_tensor

DEFAULT_TIMEOUT_S = 30.0
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_STATES = messages.ModelVersionStatus.DESCRIPTOR.enum_types_by_name["State"].values_by_number


class Answer(NamedTuple):
    """The outputs of one request, by name, batch first, and the version that gave them."""

    outputs: dict[str, NDArray]
    version: int


class VersionStatus(NamedTuple):
    """A version's state (START, LOADING, AVAILABLE, UNLOADING, END) and why it failed, or ""."""

    version: int
    state: str
    error: str


class Client:
    """A connection to the model server at `address`, HOST:PORT.

    Nothing is sent before the first call. Every call has a deadline in seconds. All raise
    `Unavailable` naming the address when the server is down or silent, and `BadInput` for what
    the server refuses.

    Example:
        with Client("127.0.0.1:8500") as client:
            answer = client.predict_arrays(images)
    """

    def __init__(self, address: str) -> None:
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[2]) < 65536:
            raise BadInput(f"server address {address!r}: expected HOST:PORT, as 127.0.0.1:8500")
        self.address = address
        options = [
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            # A model server stands beside its caller; a proxy for the web does not know it.
            ("grpc.enable_http_proxy", 0),
        ]
        self._channel = grpc.insecure_channel(address, options=options)
        service = messages.PREDICTION_SERVICE
        self._predict = self._method(f"/{service}/Predict", messages.PredictResponse)
        service = messages.MODEL_SERVICE
        self._status = self._method(f"/{service}/GetModelStatus", messages.GetModelStatusResponse)
        path = f"/{service}/HandleReloadConfigRequest"
        self._reload = self._method(path, messages.ReloadConfigResponse)

    def _method(self, path: str, response: Any) -> Any:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def predict_arrays(
        self,
        images: NDArray[np.uint8],
        version: int | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """Predict from pixels: `images` uint8 [n, 96, 96, 1]; without a version, the newest."""
        return self._ask("serving_default", "images", images, version, timeout)

    def predict_encoded(
        self,
        pictures: Sequence[bytes],
        version: int | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> Answer:
        """Predict from JPEG or PNG files of faces, which the model itself decodes."""
        array = np.array(list(pictures), dtype=object)
        return self._ask("encoded", "image_bytes", array, version, timeout)

    def _ask(
        self, signature: str, name: str, array: NDArray, version: int | None, timeout: float
    ) -> Answer:
        request = messages.PredictRequest()
        request.model_spec.signature_name = signature
        fill_tensor(request.inputs[name], array)
        return self.replay(request, version, timeout)

    def replay(
        self, request: Any, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> Answer:
        """Send a `messages.PredictRequest` as it is, but to this model and the given version."""
        spec = request.model_spec
        spec.name = MODEL_NAME
        spec.ClearField("version_choice")
        if version is not None:
            spec.version.value = version
        try:
            response = self._predict(request, timeout=timeout)
            outputs = {name: read_tensor(proto) for name, proto in response.outputs.items()}
        except grpc.RpcError as error:
            raise self._failure(error, timeout) from None
        except ValueError as error:
            raise Unavailable(f"server {self.address}: answer cannot be read: {error}") from None
        return Answer(outputs, response.model_spec.version.value)

    def model_status(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> dict[int, str]:
        """State of each version the server knows; {} where it knows none (yet)."""
        return {v.version: v.state for v in self.version_statuses(version, timeout)}

    def version_statuses(
        self, version: int | None = None, timeout: float = DEFAULT_TIMEOUT_S
    ) -> list[VersionStatus]:
        """As `model_status`, with the reason why a version did not load."""
        request = messages.GetModelStatusRequest()
        request.model_spec.name = MODEL_NAME
        if version is not None:
            request.model_spec.version.value = version
        try:
            response = self._status(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise self._failure(error, timeout) from None
        return [
            VersionStatus(s.version, _STATES[s.state].name, s.status.error_message)
            for s in response.model_version_status
        ]

    def hold_nothing(self, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        """Make the server drop every version it holds, until it reads another configuration."""
        request = messages.ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        try:
            self._reload(request, timeout=timeout)
        except grpc.RpcError as error:
            raise self._failure(error, timeout) from None

    def _failure(self, error: grpc.RpcError, timeout: float) -> BadInput | Unavailable:
        code, details = error.code(), error.details()
        where = f"server {self.address}"
        if code == grpc.StatusCode.UNAVAILABLE:
            return Unavailable(f"{where}: no model server answers there ({details})")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(f"{where}: no answer within {timeout:g} s")
        if code == grpc.StatusCode.NOT_FOUND:
            return Unavailable(f"{where}: does not serve what was asked for: {details}")
        if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
            return BadInput(f"{where}: refused the request: {details}")
        return Unavailable(f"{where}: {code.name}: {details}")
