"""Options that commands share, and what they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from emotion_ai.client.client import Client

Server = Annotated[str, typer.Option(help="HOST:PORT of a model server.")]
Release = Annotated[str, typer.Option(help="Number or label; else what the server likes.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a request may take.")]
TlsCa = Annotated[
    Path | None, typer.Option(help="PEM file of whom to trust; makes the connection TLS.")
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file: the client's.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of its key.")]

SERVER = "127.0.0.1:8500"


def client_of(
    server: str,
    faces: str,
    release: str,
    tls_ca: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
) -> "Client":
    """The client that these options ask for; raises `InputError` where one cannot be."""
    from emotion_ai.client.channel import Tls
    from emotion_ai.client.client import Client

    wants_tls = tls_ca or tls_certificate or tls_key
    tls = Tls(tls_ca, tls_certificate, tls_key) if wants_tls else None
    version = int(release) if release.isdecimal() else release or None
    return Client(server, faces, version, tls)
