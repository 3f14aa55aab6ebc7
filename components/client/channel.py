"""How a client reaches the model server: address, TLS, keep-alive, retries, and failures."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.serving_api.messages import MODEL_SERVICE, PREDICTION_SERVICE

DEFAULT_TIMEOUT_S = 30.0
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_MAX_PEM_BYTES = 1024 * 1024
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")

# https://github.com/grpc/grpc/blob/master/doc/service_config.md. A name with several addresses, as
# a headless service has, gets its requests in turns. Only UNAVAILABLE is tried again: the request
# was not worked on, or the server has gone; anything else would be the same once more.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": PREDICTION_SERVICE}, {"service": MODEL_SERVICE}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A model server stands beside its caller; a proxy for the web does not know it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # By default a request of more than 256 KiB, 28 faces, is not kept for another try.
    ("grpc.per_rpc_retry_buffer_size", _MAX_MESSAGE_BYTES),
    # Or a retry finds the connection still waiting for its own second try, one second later.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # A host that vanished without a word is found out while a call waits. Servers close a
    # connection that pings more than twice in five minutes without a message.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 2),
]


@dataclass(frozen=True)
class Tls:
    """PEM files of an encrypted connection.

    Args:
        authority: certificates of whom to trust; None trusts those that come with gRPC.
        certificate: the client's own, where the server asks for one; then `key` is needed too.
        key: of `certificate`.
        name: the server's name in its certificate, where the address has another.
    """

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC takes; raises `InputError` naming a file that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise InputError("TLS: a client's certificate and its key go together; one is missing")
        return grpc.ssl_channel_credentials(
            _pem(self.authority), _pem(self.key), _pem(self.certificate)
        )

    def options(self) -> list[tuple[str, Any]]:
        """Options of the channel, besides `OPTIONS`."""
        return [("grpc.ssl_target_name_override", self.name)] if self.name else []


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_PEM_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; expected a PEM file") from None
    if b"-----BEGIN " not in data or len(data) > _MAX_PEM_BYTES:
        raise InputError(f"{path}: no PEM file; expected -----BEGIN CERTIFICATE----- or a key's")
    return data


def check_address(address: str) -> str:
    """The address again, where it is HOST:PORT; raises `InputError`."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise InputError(f"server address {address!r}: expected HOST:PORT, as 127.0.0.1:8500")
    return address


def failure(address: str, error: grpc.RpcError, timeout: float) -> InputError | Unavailable:
    """What a failed call means to the user."""
    code, details = error.code(), error.details()
    where = f"server {address}"
    if code == grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"{where}: no model server answers there ({details})")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable(f"{where}: no answer within {timeout:g} s")
    if code == grpc.StatusCode.NOT_FOUND:
        return Unavailable(f"{where}: does not serve what was asked for: {details}")
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return InputError(f"{where}: refused the request: {details}")
    return Unavailable(f"{where}: {code.name}: {details}")
