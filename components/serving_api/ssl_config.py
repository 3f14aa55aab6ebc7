"""Write TensorFlow Serving's SSLConfig from PEM files, as cert-manager and `kubectl` keep them.

`--ssl_config_file` wants the texts of key and certificates inside one protobuf text. In a pod, an
init container writes it into memory before the server starts.

Example:
    $ python -m emotion_ai.serving_api.ssl_config --certificate c.pem --key k.pem --into ssl.config
    $ tensorflow_model_server --ssl_config_file=ssl.config
"""

import argparse
import json
import ssl
import sys
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError, exit_on_failure
from emotion_ai.storage.atomic_files import atomic_write, complete
from emotion_ai.storage.local import open_regular

_MAX_PEM_BYTES = 1 << 20


def render_ssl_config(certificate: Path, key: Path, authority: Path | None = None) -> str:
    """Return the text of an SSLConfig.

    Args:
        certificate: The server's certificate, with those that lead to its authority.
        key: Its private key, not encrypted.
        authority: Certificates of the authority that signed the clients'; a client without one is
            refused then. None lets every client in.

    Raises:
        InputError: A file cannot be read or is not what it should be, or the key is of another
            certificate; the message names the file, and has nothing of its text.

    Example:
        >>> render_ssl_config(Path("tls.crt"), Path("tls.key")).splitlines()[0][:30]
        'server_cert: "-----BEGIN CERTI'
    """
    texts = {
        "server_cert": _read_pem(certificate, "CERTIFICATE"),
        "server_key": _read_pem(key, "PRIVATE KEY"),
    }
    _check_pair(certificate, key)
    if authority is not None:
        texts["custom_ca"] = _read_pem(authority, "CERTIFICATE")
        _check_authority(authority, texts["custom_ca"])
    # A JSON string of ASCII is a string of protobuf's text format too.
    lines = [f"{name}: {json.dumps(text)}\n" for name, text in texts.items()]
    if authority is not None:
        lines.append("client_verify: true\n")
    return "".join(lines)


def write_ssl_config(into: Path, text: str) -> None:
    """Write the text so that its owner alone can read it: complete, or not at all.

    Raises:
        Unavailable: It cannot be written.
    """
    with storage.translate_errors(str(into)):
        into.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(into) as file:
            file.write(text.encode())
            complete(file, into)


def _read_pem(path: Path, kind: str) -> str:
    with storage.translate_errors(str(path)), open_regular(path) as file:
        data = file.read(_MAX_PEM_BYTES + 1)
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not ("-----BEGIN " in text and f"{kind}-----" in text) or len(data) > _MAX_PEM_BYTES:
        raise InputError(f"{path}: expected a {kind} in PEM, of at most 1 MiB")
    return text


def _check_pair(certificate: Path, key: Path) -> None:
    # Not the terminal's question for the password of an encrypted key.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise InputError(
            f"{certificate} and {key}: cannot be used together: {_reason(error)}; expected a "
            "certificate and its own key, not encrypted"
        ) from None


def _check_authority(path: Path, text: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except ssl.SSLError as error:
        raise InputError(f"{path}: no certificate can be read: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)


def main() -> None:
    """Write what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m emotion_ai.serving_api.ssl_config")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM; as tls.crt")
    parser.add_argument("--key", type=Path, required=True, help="PEM, not encrypted; as tls.key")
    parser.add_argument("--authority", type=Path, help="PEM; clients need its certificate then")
    parser.add_argument("--into", type=Path, required=True, help="the file for --ssl_config_file")
    arguments = parser.parse_args()
    with exit_on_failure():
        text = render_ssl_config(arguments.certificate, arguments.key, arguments.authority)
        write_ssl_config(arguments.into, text)
    whom = "clients with a certificate" if arguments.authority else "every client"
    sys.stdout.write(f"{arguments.into}: TLS for {whom}\n")


if __name__ == "__main__":
    main()
