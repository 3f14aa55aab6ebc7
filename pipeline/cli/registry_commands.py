"""The commands on a registry of releases: `emotion-ai serve`, `rollout` and `describe`."""

import json
from typing import Annotated

import typer

from emotion_ai.pipeline.cli.options import (
    DEFAULT_REGISTRY,
    DEFAULT_SERVER,
    AsJson,
    Registry,
    Server,
)


def serve(context: typer.Context) -> None:
    """Serve the registry's champion over gRPC until SIGTERM; takes TensorFlow Serving's flags."""
    from emotion_ai.server.flags import parse_flags

    flags = parse_flags(context.args, "emotion-ai serve")
    # Imports TensorFlow: only after the flags are valid.
    from emotion_ai.server.server import serve as serve_models

    serve_models(flags)


def rollout(
    version: Annotated[int, typer.Argument(min=1, help="The release to make the champion.")],
    registry: Registry = DEFAULT_REGISTRY,
    server: Server = DEFAULT_SERVER,
) -> None:
    """Make a release the champion, forward or back, and prove that it answers."""
    from emotion_ai.rollouts.targets import roll_out

    proof = roll_out(registry, version, server)
    previous = proof["previous"] or "none"
    typer.echo(
        f"release {version} answers at {server} (before: {previous}); {proof['answers_checked']} "
        f"golden answers agree within {proof['largest_difference']:.1g}"
    )


def describe(
    version: Annotated[int | None, typer.Argument(min=1, help="A release; default: all.")] = None,
    registry: Registry = DEFAULT_REGISTRY,
    server: Annotated[str, typer.Option(help="HOST:PORT of a server to describe as well.")] = "",
    as_json: AsJson = False,
) -> None:
    """Describe what is released and what is serving: data, dates, metrics, and why accepted."""
    from rich.console import Console

    from emotion_ai.pipeline.registry_printer import print_registry
    from emotion_ai.rollouts.description import describe as describe_registry

    description = describe_registry(registry, version, server or None)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        print_registry(Console(), description)
