"""Options that several commands share, and what is made of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotion_ai.errors import InputError
from emotion_ai.pipeline.choices import (
    ENVIRONMENTS,
    INITIAL_WEIGHTS,
    LABEL_SET_NAMES,
    PRESETS,
    join_choices,
    list_settings_files,
)

if TYPE_CHECKING:
    from emotion_ai.client.client import Client

DEFAULT_SERVER = "127.0.0.1:8500"

PRESET_NAMES = ", ".join(list_settings_files(PRESETS))
ENVIRONMENT_NAMES = ", ".join(list_settings_files(ENVIRONMENTS))
LABEL_SET_CHOICES = join_choices(LABEL_SET_NAMES)
INIT_CHOICES = join_choices(INITIAL_WEIGHTS)

Server = Annotated[str, typer.Option(help="HOST:PORT of a model server.")]
Release = Annotated[str, typer.Option(help="Release number or label; default: the server's.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a request may take.")]
TlsCa = Annotated[
    Path | None, typer.Option(help="PEM file of the trusted certificates; turns on TLS.")
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file of the client's certificate.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of the client's key.")]
TlsName = Annotated[
    str, typer.Option(help="The server's name in its certificate, where the address has another.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def refuse_empty(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Refuse an option that is given and empty, as an unset variable of a shell makes it.

    Raises:
        InputError: It is; its default would count in its place.
    """
    given = context.get_parameter_source(str(parameter.name))
    # Typer has a click of its own, whose classes are not public.
    if given is not None and given.name == "COMMANDLINE" and not value.strip():
        raise InputError(f"{parameter.opts[0]}: is empty; give it a value, or leave it out")
    return value


def open_client(
    server: str,
    faces: str,
    *,
    release: str,
    tls_ca: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_name: str,
) -> "Client":
    """Open a client with the options of a command.

    Args:
        server: HOST:PORT of a model server.
        faces: The face detector, as in `emotion_ai.client.detectors.open_detector`.
        release: A number or a label; "" for the server's choice.
        tls_ca: PEM file of the trusted certificates.
        tls_certificate: PEM file of the client's certificate.
        tls_key: PEM file of the client's key.
        tls_name: The server's name in its certificate. Without any of these four there is no TLS.

    Raises:
        InputError: An option is invalid, or a file cannot be read.
    """
    from emotion_ai.client.channel import Tls
    from emotion_ai.client.client import Client

    tls = Tls(tls_ca, tls_certificate, tls_key, tls_name or None)
    version = int(release) if release.isdecimal() else release or None
    return Client(server, faces, version, None if tls == Tls() else tls)
