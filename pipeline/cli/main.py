"""The command `emotion-ai`. Heavy packages are imported by the command that needs them."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from emotion_ai.errors import EmotionAIError, one_line
from emotion_ai.pipeline.cli.interruption import INTERRUPTED, interrupted
from emotion_ai.pipeline.cli.options import (
    SERVER,
    Release,
    Server,
    Timeout,
    TlsCa,
    TlsCertificate,
    TlsKey,
    client_of,
)
from emotion_ai.pipeline.cli.watch import watch

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From faces to a service that tells keypoints and emotions: train, gate, release, serve.",
)

Registry = Annotated[str, typer.Option(help="Folder or gs:// URI that holds the releases.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

REGISTRY = "./registry"


class Runner(StrEnum):
    """Where the steps of a local run work."""

    SUBPROCESS = "subprocess"
    DOCKER = "docker"


@app.command()
def run(
    keypoints: Annotated[str, typer.Option(help="Source of marked faces: a CSV, sample://N.")] = "",
    expression: Annotated[str, typer.Option(help="Source of named expressions.")] = "",
    label_set: Annotated[str, typer.Option(help="fer7 or course5.")] = "",
    emotions: Annotated[str, typer.Option(help="A subset of the label set: a,b,c.")] = "",
    preset: Annotated[str, typer.Option(help="sample, quick, standard, or a YAML file.")] = "",
    init: Annotated[
        str, typer.Option(help="Start from: scratch, pretrained or champion (its weights).")
    ] = "",
    teachers: Annotated[
        str, typer.Option(help="Expressions learn from these too: release numbers, pretrained.")
    ] = "",
    registry: Annotated[str, typer.Option(help="Where the releases go.")] = "",
    environment: Annotated[str, typer.Option(help="local, or a YAML file.")] = "local",
    force_accept: Annotated[
        str, typer.Option(help="Why a candidate that the gate rejects is released all the same.")
    ] = "",
    seed: Annotated[int | None, typer.Option(help="Of weights, order and augmentation.")] = None,
    runner: Annotated[
        Runner, typer.Option(help="Each step as a process here, or in a container of its image.")
    ] = Runner.SUBPROCESS,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on this machine: train, gate, release, roll out, ask."""
    from rich.console import Console

    from emotion_ai.pipeline.local.run import run_locally
    from emotion_ai.pipeline.local.summary import Progress, print_account
    from emotion_ai.pipeline.local.summary import as_json as run_as_json
    from emotion_ai.pipeline.settings import run_settings

    given = {
        "keypoints": keypoints,
        "expression": expression,
        "label_set": label_set,
        "emotions": emotions,
        "init": init,
        "teachers": teachers,
        "registry": registry,
        "force_accept": force_accept,
    }
    flags: dict[str, Any] = {name: value for name, value in given.items() if value}
    if seed is not None:
        flags["seed"] = seed
    settings = run_settings(environment, preset, flags)
    # The progress goes to stderr where stdout is for a program.
    console = Console(stderr=as_json, file=None if as_json else sys.stdout)
    progress = Progress(console)
    try:
        result = run_locally(settings, environment, progress, runner.value)
    finally:
        progress.close()
    if as_json:
        shown = settings.model_dump(mode="json") | {"environment": environment, "preset": preset}
        typer.echo(json.dumps(run_as_json(result, shown), indent=2))
    else:
        print_account(console, result)


@app.command("sample-data")
def sample_data(
    directory: Annotated[Path, typer.Argument(help="Gets keypoints.csv and expression.csv.")],
    faces: Annotated[int, typer.Option(help="How many faces to draw.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
) -> None:
    """Draw a sample data set in the formats of Kaggle's files."""
    from emotion_ai.sample.files import write_sample

    write_sample(directory, faces, seed)
    typer.echo(f"{faces} faces: {directory}/keypoints.csv and {directory}/expression.csv")


@app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        # --help too is the server's.
        "help_option_names": [],
    }
)
def serve(context: typer.Context) -> None:
    """Serve the registry's champion over gRPC until SIGTERM; takes TensorFlow Serving's flags."""
    from emotion_ai.server.flags import parse_flags

    flags = parse_flags(context.args, "emotion-ai serve")
    from emotion_ai.server.server import serve as serve_models

    serve_models(flags)


@app.command()
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="Photographs, or folders of them.")],
    server: Server = SERVER,
    faces: Annotated[
        str, typer.Option(help="Who finds the faces: yunet or dlib; whole: a picture is a face.")
    ] = "yunet",
    format: Annotated[
        str, typer.Option(help="jsonl, csv, parquet or table; else as --output is named.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file; written to again, goes on.")
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="A folder for the pictures with what was seen on them.")
    ] = None,
    release: Release = "",
    timeout: Timeout = 30.0,
    tls_ca: TlsCa = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Ask a server about every face in photographs: which emotion, and where the keypoints are."""
    from emotion_ai.apps.predict.command import predict_paths

    with client_of(server, faces, release, tls_ca, tls_certificate, tls_key) as client:
        predict_paths(pictures, client, timeout, format, output, annotate)


app.command()(watch)


@app.command()
def console(
    server: Annotated[
        str, typer.Option(help="HOST:PORT of a model server; else the pretrained networks.")
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any free one.")] = 8600,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    faces: Annotated[str, typer.Option(help="Who finds the faces: yunet or dlib.")] = "yunet",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open a page to drop photos on or look into the camera, and see what the networks see."""
    from emotion_ai.apps.console.command import open_browser, run_console

    run_console(server, host, port, faces, open_browser if browser else lambda url: None)


@app.command()
def rollout(
    version: Annotated[int, typer.Argument(min=1, help="The release to make the champion.")],
    registry: Registry = REGISTRY,
    server: Server = SERVER,
) -> None:
    """Make a release the champion, forward or back, and prove that it answers."""
    from emotion_ai.rollouts.targets import roll_out

    proof = roll_out(registry, version, server)
    before = proof["previous"] or "none"
    typer.echo(
        f"release {version} answers at {server} (before: {before}); {proof['answers_checked']} "
        f"golden answers agree within {proof['largest_difference']:.1g}"
    )


@app.command()
def describe(
    version: Annotated[int | None, typer.Argument(min=1, help="One release; else all.")] = None,
    registry: Registry = REGISTRY,
    server: Annotated[str, typer.Option(help="HOST:PORT of a server to ask as well.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what is released and what is serving: from what, when, with which numbers, and why."""
    from rich.console import Console

    from emotion_ai.pipeline.registry_printer import print_description
    from emotion_ai.rollouts.description import describe as described

    facts = described(registry, version, server or None)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        print_description(Console(), facts)


@app.command("compile")
def compile_command(
    environment: Annotated[str, typer.Option(help="A name, or a YAML file.")] = "cluster",
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write.")] = Path(
        "emotion-ai.yaml"
    ),
    preset: Annotated[str, typer.Option(help="Instead of the environment's.")] = "",
) -> None:
    """Compile the pipeline for an environment, to submit with the kfp CLI."""
    from emotion_ai.pipeline.compiler import compile_pipeline
    from emotion_ai.pipeline.settings import environment as read_environment
    from emotion_ai.pipeline.settings import run_settings

    settings = run_settings(environment, preset)
    compile_pipeline(read_environment(environment).compile, settings, output)
    typer.echo(f"{output}: compiled for environment {environment}")


def main() -> None:
    """Entry point: failures become one line on stderr and exit code 2 (user) or 1 (world)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        app()
    except EmotionAIError as failure:
        sys.stderr.write(f"emotion-ai: {one_line(failure)}\n")
        sys.exit(failure.exit_code)
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"emotion-ai: package {missing.name} is not installed: the client alone is; install "
            "emotion-ai[pipeline] for this command\n"
        )
        sys.exit(2)
    except SystemExit as end:
        # Typer turns Ctrl-C into this code and says nothing.
        if end.code == INTERRUPTED:
            interrupted()
        raise
