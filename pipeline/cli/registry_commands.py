"""The commands on a registry of releases: `emotion-ai serve`, `rollout` and `describe`."""

import json
import sys
from typing import Annotated, Any

import typer

from emotion_ai.errors import EmotionAIError, InputError, one_line
from emotion_ai.pipeline.cli.installation import (
    Environment,
    EnvironmentRegistry,
    Flags,
    Namespace,
    Target,
    load_installation,
)
from emotion_ai.pipeline.cli.options import (
    DEFAULT_SERVER,
    AsJson,
    TlsCa,
    TlsCertificate,
    TlsKey,
    TlsName,
    refuse_empty,
)
from emotion_ai.terminal import clean_console


def serve(context: typer.Context) -> None:
    """Serve the registry's champion over gRPC until SIGTERM; takes TensorFlow Serving's flags."""
    from emotion_ai.server.flags import parse_flags

    flags = parse_flags(context.args, "emotion-ai serve")
    # Imports TensorFlow: only after the flags are valid.
    from emotion_ai.server.server import serve as serve_models

    serve_models(flags)


def rollout(
    version: Annotated[int, typer.Argument(min=1, help="The release to make the champion.")],
    registry: EnvironmentRegistry = "",
    target: Target = "",
    server: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help=f"HOST:PORT of the model server on target local; default: {DEFAULT_SERVER}.",
        ),
    ] = "",
    namespace: Namespace = "",
    bake: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Seconds that the canary answers callers before it is judged, on target "
            "kubernetes; 0 skips this. Needs --reason.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(callback=refuse_empty, help="Why; recorded.")] = "",
    environment: Environment = "local",
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_name: TlsName = "",
    as_json: AsJson = False,
) -> None:
    """Make a release the champion, forward or back, and prove that it answers."""
    from emotion_ai.pipeline.cluster_printer import rollout_lines
    from emotion_ai.rollouts.interruption import exit_on_sigterm
    from emotion_ai.rollouts.targets import roll_out

    if bake is not None and not reason.strip():
        raise InputError('--bake: say why with --reason "..."; it is recorded')
    tls = {"authority": tls_ca, "certificate": tls_certificate, "key": tls_key, "name": tls_name}
    flags = Flags(registry, target, server, namespace, bake, tls)
    settings = load_installation(environment, flags)
    record: dict[str, Any] = {}
    try:
        with exit_on_sigterm():
            roll_out(
                settings.registry,
                version,
                settings.serving.server or DEFAULT_SERVER,
                settings.serving.target,
                settings=settings.serving.rollout,
                reason=reason,
                record=record,
            )
    except EmotionAIError:
        # A program wants to know what has happened, too.
        if as_json:
            typer.echo(json.dumps(record, indent=2))
        raise
    lines = [json.dumps(record, indent=2)] if as_json else map(one_line, rollout_lines(record))
    for line in lines:
        typer.echo(line)


def describe(
    version: Annotated[int | None, typer.Argument(min=1, help="A release; default: all.")] = None,
    registry: EnvironmentRegistry = "",
    server: Annotated[
        str,
        typer.Option(callback=refuse_empty, help="HOST:PORT of a server to describe as well."),
    ] = "",
    target: Target = "",
    namespace: Namespace = "",
    run: Annotated[
        str,
        typer.Option(
            callback=refuse_empty, help="A run's id or name: describe how it ended, and why."
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="A source's path, URI or fingerprint: describe which releases and runs have "
            "seen it.",
        ),
    ] = "",
    environment: Environment = "local",
    as_json: AsJson = False,
) -> None:
    """Describe what is released and what is serving: data, dates, metrics, and why accepted."""
    from emotion_ai.pipeline.registry_printer import print_registry
    from emotion_ai.registry.run_list import list_runs
    from emotion_ai.rollouts.description import describe as describe_registry

    if run and source:
        raise InputError("--run and --source: describe one of them at a time")
    settings = load_installation(environment, Flags(registry, target, namespace=namespace))
    if run:
        _describe_run(settings.registry, run, as_json)
        return
    if source:
        _describe_source(settings.registry, source, as_json)
        return
    cluster = settings.serving.rollout if settings.serving.target == "kubernetes" else None
    description = describe_registry(settings.registry, version, server or None, cluster)
    if version is None:
        description |= list_runs(settings.registry)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_registry(clean_console(sys.stdout), description)


def _describe_run(registry: str, run_id: str, as_json: bool) -> None:
    from emotion_ai.pipeline.run_printer import print_run
    from emotion_ai.registry.run_description import describe_run

    description = describe_run(registry, run_id)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_run(clean_console(sys.stdout), description)


def _describe_source(registry: str, source: str, as_json: bool) -> None:
    from emotion_ai.pipeline.source_tracing import describe_source, source_lines

    description = describe_source(registry, source)
    lines = (
        [json.dumps(description, indent=2)] if as_json else map(one_line, source_lines(description))
    )
    for line in lines:
        typer.echo(line)
