"""Options that several commands share, and what is made of them."""

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from emotion_ai.terminal import CONTROLS

if TYPE_CHECKING:
    from emotion_ai.client.predictor import Predictor

DEFAULT_SERVER = "127.0.0.1:8500"
# Declares the purpose of all commands at once.
PURPOSE_VARIABLE = "EMOTION_AI_PURPOSE"
_MAX_PURPOSE = 200

PRESET_NAMES = ", ".join(list_settings_files(PRESETS))
ENVIRONMENT_NAMES = ", ".join(list_settings_files(ENVIRONMENTS))
LABEL_SET_CHOICES = join_choices(LABEL_SET_NAMES)
INIT_CHOICES = join_choices(INITIAL_WEIGHTS)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that the command line named: those that are neither "" nor None."""
    return {name: value for name, value in options.items() if value not in ("", None)}


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


def check_purpose(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Return a purpose without blanks around it.

    Raises:
        InputError: It is empty on the command line, has several lines, or is too long.
    """
    value = refuse_empty(context, parameter, value).strip()
    name = f"{parameter.opts[0]}, or {PURPOSE_VARIABLE}"
    if CONTROLS.search(value) or "\n" in value or "\t" in value:
        raise InputError(f"{name}: expected one line without control characters")
    if len(value) > _MAX_PURPOSE:
        raise InputError(f"{name}: has {len(value):,} characters; expected at most {_MAX_PURPOSE}")
    return value


def about(purpose: str) -> dict[str, str]:
    """Return what all outputs say, by name: the purpose, if one is declared."""
    return given(purpose=purpose)


Server = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="HOST:PORT of a model server; without one the networks run in this command.",
    ),
]
OwnRegistry = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="Folder or gs:// URI of releases, of which one runs in this command; without one the "
        "pretrained networks do.",
    ),
]
Release = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="Release number, or a server's label; default: the server's, or the champion.",
    ),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a server may take.")]
TlsCa = Annotated[
    Path | None, typer.Option(help="PEM file of the trusted certificates; turns on TLS.")
]
TlsCertificate = Annotated[Path | None, typer.Option(help="PEM file of the client's certificate.")]
TlsKey = Annotated[Path | None, typer.Option(help="PEM file of the client's key.")]
TlsName = Annotated[
    str, typer.Option(help="The server's name in its certificate, where the address has another.")
]
ExpressionSource = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="Source of faces with emotions: a CSV, pictures or sample://N.",
    ),
]
LabelSet = Annotated[str, typer.Option(callback=refuse_empty, help=f"{LABEL_SET_CHOICES}.")]
Emotions = Annotated[
    str, typer.Option(callback=refuse_empty, help="A subset of the label set: a,b,c.")
]
Preset = Annotated[
    str, typer.Option(callback=refuse_empty, help=f"{PRESET_NAMES}, or a YAML file.")
]
RegistryOfReleases = Annotated[
    str, typer.Option(callback=refuse_empty, help="Folder or gs:// URI of the releases.")
]
OwnEnvironment = Annotated[
    str, typer.Option(callback=refuse_empty, help="local, or a YAML file of yours.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, order and augmentation.")]
Purpose = Annotated[
    str,
    typer.Option(
        envvar=PURPOSE_VARIABLE,
        callback=check_purpose,
        help="What the faces are analysed for, such as 'study 12'; written into all outputs.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def open_predictor(
    server: str,
    faces: str,
    *,
    registry: str,
    release: str,
    timeout: float,
    tls_ca: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_name: str,
) -> "AbstractContextManager[Predictor]":
    """Open what predicts, by the options of a command.

    Args:
        server: HOST:PORT of a model server; "" to run the networks in this process.
        faces: The face detector, as in `emotion_ai.client.detectors.open_detector`.
        registry: Of releases that run in this process; "" for the pretrained networks.
        release: A number, or a server's label; "" for the server's choice or the champion.
        timeout: Seconds that a server may take.
        tls_ca: PEM file of the trusted certificates.
        tls_certificate: PEM file of the client's certificate.
        tls_key: PEM file of the client's key.
        tls_name: The server's name in its certificate. Without any of these four there is no TLS.

    Raises:
        InputError: An option is invalid, or a file cannot be read.
        Unavailable: The registry's storage failed.
    """
    from emotion_ai.client.channel import Tls
    from emotion_ai.registry.releases import is_version

    tls = Tls(tls_ca, tls_certificate, tls_key, tls_name or None)
    if release.isdecimal() and not is_version(release):
        raise InputError(f"--release {release[:30]}: expected the number of a release, or a label")
    version = int(release) if release.isdecimal() else release or None
    if server:
        from emotion_ai.client.client import Client

        if registry:
            raise InputError("--server and --registry: name one of them, whose releases answer")
        return Client(server, faces, version, None if tls == Tls() else tls, timeout)
    from emotion_ai.client.analyzer import Analyzer

    if tls != Tls():
        raise InputError("--tls-...: is for a server; name it with --server")
    if isinstance(version, str):
        raise InputError(f"--release {version!r}: a label is a server's; expected a number")
    return contextlib.nullcontext(Analyzer(faces, registry, version))
