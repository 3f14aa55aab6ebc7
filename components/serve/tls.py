"""TLS and mutual TLS by TensorFlow Serving's ssl_config_file."""

import grpc

from components.errors import BadInput
from components.serve.parameter_files import read_parameters


def credentials(ssl_config_file: str) -> grpc.ServerCredentials:
    """What a SSLConfig file says: server_key, server_cert, custom_ca (PEM texts), client_verify.

    With `client_verify` only clients with a certificate of `custom_ca` are answered. Raises
    `BadInput` naming what is missing.
    """
    config = read_parameters("SSLConfig", ssl_config_file)
    for name in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(config, name):
            raise BadInput(f"{ssl_config_file}: {name}: expected the PEM text of the server's")
    if config.client_verify and not config.custom_ca:
        raise BadInput(f"{ssl_config_file}: client_verify needs custom_ca, whose clients to trust")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
