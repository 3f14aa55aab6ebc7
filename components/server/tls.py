"""TLS and mutual TLS from TensorFlow Serving's ssl_config_file."""

import ssl
import tempfile
from typing import Any

import grpc

from emotion_ai.errors import InputError
from emotion_ai.server.parameter_files import read_parameters


def load_credentials(ssl_config_file: str) -> grpc.ServerCredentials:
    """Read the server's credentials from an SSLConfig file.

    Args:
        ssl_config_file: Path or URI of an SSLConfig with server_key, server_cert and custom_ca
            (PEM texts). With client_verify, clients need a certificate that custom_ca signed.

    Raises:
        InputError: The file is invalid, a key or certificate is missing, or they do not match.
    """
    config = read_parameters("SSLConfig", ssl_config_file)
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(config, name):
            raise InputError(f"{ssl_config_file}: {name}: expected PEM text")
    if config.client_verify and not config.custom_ca:
        raise InputError(f"{ssl_config_file}: client_verify needs custom_ca to verify clients with")
    try:
        _check_with_openssl(config)
    except ssl.SSLError as error:
        raise InputError(
            f"{ssl_config_file}: cannot use server_key, server_cert and custom_ca: {error}"
        ) from None
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _check_with_openssl(config: Any) -> None:
    # gRPC's own error does not say what is wrong. OpenSSL reads a key only from a file.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", prefix="emotion-ai-") as file:
        file.write(f"{config.server_key}\n{config.server_cert}\n")
        file.flush()
        context.load_cert_chain(file.name)
    if config.custom_ca:
        context.load_verify_locations(cadata=config.custom_ca)
