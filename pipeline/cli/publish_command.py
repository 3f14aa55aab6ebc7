"""The command `emotion-ai publish`."""

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.options import (
    ENVIRONMENT_NAMES,
    PRESET_NAMES,
    refuse_empty,
)
from emotion_ai.pipeline.cli.overridden import tell_overridden


def publish(
    parameters: Annotated[
        list[str] | None,
        typer.Argument(
            help="Parameters of the schedule and the run, NAME=VALUE, written as for "
            "`kfp run create`; without them the environment's values count."
        ),
    ] = None,
    kfp: Annotated[
        str, typer.Option(help="URL of Kubeflow Pipelines, such as http://localhost:8888.")
    ] = "",
    schedule: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="When to run it, six fields of cron in UTC: '0 0 3 * * *'. Replaces the schedule "
            "that an earlier call made.",
        ),
    ] = "",
    run: Annotated[
        str, typer.Option(callback=refuse_empty, help="Name of a run to start now.")
    ] = "",
    version: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="Schedule or run this published version; nothing is compiled.",
        ),
    ] = "",
    environment: Annotated[
        str, typer.Option(callback=refuse_empty, help=f"{ENVIRONMENT_NAMES}, or a YAML file.")
    ] = "cluster",
    preset: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help=f"{PRESET_NAMES}, or a YAML file; default: the environment's.",
        ),
    ] = "",
    namespace: Annotated[
        str,
        typer.Option(
            callback=refuse_empty, help="Namespace in an installation with profiles; default: none."
        ),
    ] = "",
) -> None:
    """Upload the compiled pipeline to Kubeflow Pipelines, once, and schedule it."""
    from emotion_ai.pipeline.publishing.cron import normalise
    from emotion_ai.pipeline.publishing.order import Order, options_to_repeat, parse_parameters
    from emotion_ai.pipeline.publishing.publish import publish as publish_package
    from emotion_ai.pipeline.publishing.publish import publish_again
    from emotion_ai.pipeline.publishing.server import connect
    from emotion_ai.pipeline.settings import load_environment

    if version and preset:
        raise InputError(
            f"--preset {preset} has no part in --version {version}, which is compiled already; "
            "leave one of them out"
        )
    if version and not (schedule or run):
        raise InputError(
            f"--version {version}: it is published already; add --schedule or --run to start it"
        )
    if not run.isprintable():
        raise InputError(f"--run {run!r}: expected a name, of characters that can be printed")
    compile_settings = load_environment(environment).compile
    order = Order(
        namespace=namespace or None,
        schedule=normalise(schedule) if schedule else "",
        run_name=run,
        parameters=parse_parameters(parameters or [], bool(schedule or run)),
        service_account=compile_settings.cluster.service_account,
        repeat=options_to_repeat(environment=environment, namespace=namespace),
    )
    server = connect(kfp)
    if version:
        _print(publish_again(server, version, order))
        return
    from emotion_ai.pipeline.compiler import compile_pipeline
    from emotion_ai.pipeline.parameters import training_parameters
    from emotion_ai.pipeline.publishing.values import cautions
    from emotion_ai.pipeline.settings import load_run_settings
    from emotion_ai.registry.placeholders import refuse_example

    refuse_example("compile.image", compile_settings.image)
    settings = load_run_settings(environment, preset)
    if order.starts_something:
        values = training_parameters(settings) | dict(order.parameters)
        for sentence in cautions(values):
            sys.stderr.write(f"emotion-ai: {sentence}\n")
    with tempfile.TemporaryDirectory(prefix="publish-") as folder:
        package = Path(folder, "emotion-ai.yaml")
        compile_pipeline(compile_settings, settings, package)
        tell_overridden(environment, preset)
        _print(publish_package(server, package, order))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        # Kubeflow Pipelines' own words are in it.
        typer.echo(line.replace("\n", " "))
