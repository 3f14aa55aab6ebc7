"""The gRPC channel to the model server: address, TLS, keep-alive, retries, and errors."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.serving_api.messages import MODEL_SERVICE, PREDICTION_SERVICE, PredictResponse
from emotion_ai.serving_api.wire import check_fields
from emotion_ai.storage.local import open_regular

DEFAULT_TIMEOUT_S = 30.0
_MAX_REQUEST_BYTES = 256 * 1024 * 1024
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_MAX_PEM_BYTES = 1024 * 1024
# gRPC's form dns:///HOST:PORT asks for every address of a name; a plain HOST:PORT does so too.
_ADDRESS = re.compile(r"(?:dns:///)?(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")

# How gRPC's messages start that end with the reason of the last attempt.
_ERROR_CHAINS = ("failed to connect to all", "connections to all", "errors resolving")

# https://github.com/grpc/grpc/blob/master/doc/service_config.md. Requests to a name with several
# addresses, such as a headless service, take turns among them. What a server has not processed is
# retried: UNAVAILABLE, and CANCELLED, which is what a request gets that arrives while a gRPC server
# stops (https://github.com/grpc/grpc/issues/41785). Any other error would come again.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": PREDICTION_SERVICE}, {"service": MODEL_SERVICE}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
    ("grpc.max_send_message_length", _MAX_REQUEST_BYTES),
    # The model server is usually on the caller's network, which a web proxy cannot reach.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # By default a request of more than 256 KiB, 28 faces, is not kept for a retry.
    ("grpc.per_rpc_retry_buffer_size", _MAX_REQUEST_BYTES),
    # By default a lost connection is retried after one second: later than the first call retries.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # By default a name is resolved again after half a minute: too late where servers have moved.
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    # By default connecting to a host that vanished takes 20 s, and a Service's address may lead
    # there again.
    ("grpc.min_reconnect_backoff_ms", 1_000),
    # A host that vanished, or hangs, is noticed within 3.5 s: a waiting call asks by a ping, and
    # data has to be acknowledged. Two pings are sent without data: a server with gRPC's own
    # settings closes the connection at the fourth.
    ("grpc.keepalive_time_ms", 1_000),
    # TCP's limit for data that is not acknowledged.
    ("grpc.keepalive_timeout_ms", 2_500),
    # The limit of a ping's answer: https://github.com/grpc/grpc/pull/39239.
    ("grpc.http2.ping_timeout_ms", 2_500),
    ("grpc.http2.max_pings_without_data", 2),
]


@dataclass(frozen=True)
class Tls:
    """PEM files for an encrypted connection.

    Args:
        authority: Certificates to trust; None trusts those that come with gRPC.
        certificate: The client's certificate, for a server that requires one; needs `key`.
        key: The private key of `certificate`.
        name: The server's name in its certificate, where the address has another.

    Example:
        tls = Tls(authority=Path("ca.pem"))
        client = Client("models.example:8500", tls=tls)
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files.

        Returns:
            The credentials of a gRPC channel.

        Raises:
            InputError: A file cannot be read or is no PEM file, or a certificate has no key.
        """
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS: a client's certificate and its key go together; one is missing")
        return grpc.ssl_channel_credentials(
            root_certificates=_read_pem(self.authority),
            private_key=_read_pem(self.key),
            certificate_chain=_read_pem(self.certificate),
        )

    def options(self) -> list[tuple[str, Any]]:
        """Return the gRPC channel options that this adds to `OPTIONS`."""
        return [("grpc.ssl_target_name_override", self.name)] if self.name else []


def _read_pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open_regular(path) as file:
            data = file.read(_MAX_PEM_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; expected a PEM file") from None
    if b"-----BEGIN " not in data or len(data) > _MAX_PEM_BYTES:
        raise InputError(f"{path}: not a PEM file; expected a certificate or a key")
    return data


def check_address(address: str) -> str:
    """Return the address; raise `InputError` where it is not HOST:PORT."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InputError(f"server address {address!r}: expected HOST:PORT, as 127.0.0.1:8500")
    return address


def open_channel(library: ModuleType, address: str, tls: Tls | None) -> Any:
    """Open a channel of `library`, which is `grpc` or `grpc.aio`, with the options above."""
    if tls is None:
        return library.insecure_channel(address, options=OPTIONS)
    options = [*OPTIONS, *tls.options()]
    return library.secure_channel(address, tls.credentials(), options=options)


def unary_method(channel: Any, service: str, method: str, parse: Callable[[bytes], Any]) -> Any:
    """Return the callable for a method of a service; `parse` reads its responses."""
    return channel.unary_unary(
        f"/{service}/{method}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=parse,
    )


def parse_prediction(data: bytes) -> Any:
    """Parse a PredictResponse; gRPC makes INTERNAL of what is raised."""
    check_fields(data)
    return PredictResponse.FromString(data)


@contextlib.contextmanager
def map_grpc_errors(address: str, timeout: float) -> Iterator[None]:
    """Turn gRPC's errors within the block into this package's.

    Raises:
        InputError: The server refused the request.
        Unavailable: Any other error; the message names the address.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise _to_exception(address, error, timeout) from None


def _last_reason(details: str) -> str:
    """Cut the reason out of gRPC's chain of errors; return other texts as they are.

    Example:
        >>> _last_reason("failed to connect to all addresses; last error: Connection refused")
        'Connection refused'
    """
    if not details.startswith(_ERROR_CHAINS):
        return details
    reason = details.rstrip("]").rpartition(": ")[2]
    # An address alone says less than the chain.
    return details if re.search(r":\d+$", reason) else reason


def _to_exception(address: str, error: Any, timeout: float) -> InputError | Unavailable:
    code, details = error.code(), error.details()
    where = f"server {address}"
    if code == grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"{where}: no model server answers there ({_last_reason(details)})")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(f"{where}: no answer within {timeout:g} s")
    if code == grpc.StatusCode.NOT_FOUND:
        return Unavailable(f"{where}: has no such model or version: {details}")
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return InputError(f"{where}: refused the request: {details}")
    return Unavailable(f"{where}: {code.name}: {details}")
