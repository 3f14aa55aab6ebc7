"""TLS and mutual TLS by TensorFlow Serving's ssl_config_file."""

import ssl
import tempfile
from typing import Any

import grpc

from emotion_ai.errors import InputError
from emotion_ai.server.parameter_files import read_parameters


def credentials(ssl_config_file: str) -> grpc.ServerCredentials:
    """What a SSLConfig file says: server_key, server_cert, custom_ca (PEM texts), client_verify.

    With `client_verify` only clients with a certificate of `custom_ca` are answered. Raises
    `InputError` naming what is missing.
    """
    config = read_parameters("SSLConfig", ssl_config_file)
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(config, name):
            raise InputError(f"{ssl_config_file}: {name}: expected the PEM text of the server's")
    if config.client_verify and not config.custom_ca:
        raise InputError(
            f"{ssl_config_file}: client_verify needs custom_ca, whose clients to trust"
        )
    try:
        _check_together(config)
    except ssl.SSLError as error:
        raise InputError(
            f"{ssl_config_file}: server_key, server_cert and custom_ca do not serve: {error}"
        ) from None
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _check_together(config: Any) -> None:
    # gRPC's own refusal does not tell why. OpenSSL reads a key from nothing but a file.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", prefix="emotion-ai-") as file:
        file.write(f"{config.server_key}\n{config.server_cert}\n")
        file.flush()
        context.load_cert_chain(file.name)
    if config.custom_ca:
        context.load_verify_locations(cadata=config.custom_ca)
