"""The command `emotion-ai`. Heavy packages are imported by the command that needs them."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.errors import EmotionAIError, install_hint, one_line
from emotion_ai.pipeline.cli.answers_command import answers
from emotion_ai.pipeline.cli.arguments import expand_home
from emotion_ai.pipeline.cli.audit_command import audit
from emotion_ai.pipeline.cli.client_commands import console, predict
from emotion_ai.pipeline.cli.interruption import INTERRUPTED, exit_interrupted
from emotion_ai.pipeline.cli.options import (
    ENVIRONMENT_NAMES,
    INIT_CHOICES,
    PRESET_NAMES,
    AsJson,
    Emotions,
    ExpressionSource,
    LabelSet,
    OwnEnvironment,
    Preset,
    Seed,
    given,
    refuse_empty,
)
from emotion_ai.pipeline.cli.overridden import tell_overridden
from emotion_ai.pipeline.cli.publish_command import publish
from emotion_ai.pipeline.cli.registry_commands import describe, rollout, serve
from emotion_ai.pipeline.cli.standard_output import complete_output
from emotion_ai.pipeline.cli.watch import watch
from emotion_ai.storage.scratch import scratch_folder
from emotion_ai.terminal import clean_console, clean_streams

_HELP = "Train, gate, release and serve models of facial keypoints and expression."
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from emotion_ai.server.flags import version_words

        typer.echo(version_words())
        raise typer.Exit


@app.callback(help=_HELP)
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


class Runner(StrEnum):
    """Where the steps of a local run are executed."""

    SUBPROCESS = "subprocess"
    DOCKER = "docker"


class Pipeline(StrEnum):
    """The pipelines that can be compiled."""

    TRAINING = "training"
    ROLLOUT = "rollout"


@app.command()
def run(
    keypoints: Annotated[
        str,
        typer.Option(
            callback=refuse_empty, help="Source of faces with keypoints: a CSV or sample://N."
        ),
    ] = "",
    expression: ExpressionSource = "",
    label_set: LabelSet = "",
    emotions: Emotions = "",
    preset: Preset = "",
    init: Annotated[
        str,
        typer.Option(
            callback=refuse_empty, help=f"Weights that training starts from: {INIT_CHOICES}."
        ),
    ] = "",
    teachers: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="What the expression network also learns from: numbers of releases, champion, "
            "pretrained; or a bank of their answers, FILE.npz.",
        ),
    ] = "",
    registry: Annotated[
        str, typer.Option(callback=refuse_empty, help="Where the releases go.")
    ] = "",
    environment: OwnEnvironment = "local",
    target: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="Where the release is rolled out: local (a server that the run starts) or "
            "kubernetes (the cluster of the kubeconfig); default: the environment's.",
        ),
    ] = "",
    force_accept: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="Why a candidate that the gate rejects is released all the same.",
        ),
    ] = "",
    seed: Seed = None,
    runner: Annotated[
        Runner, typer.Option(help="Each step as a process here, or in a container of its image.")
    ] = Runner.SUBPROCESS,
    as_json: AsJson = False,
) -> None:
    """Run the whole pipeline on this machine: train, gate, release, roll out, predict."""
    from emotion_ai.pipeline.local.run import run_locally
    from emotion_ai.pipeline.local.summary import Progress, print_summary, summary_as_json
    from emotion_ai.pipeline.settings import load_run_settings

    flags = given(
        keypoints=keypoints,
        expression=expression,
        label_set=label_set,
        emotions=emotions,
        init=init,
        teachers=teachers,
        registry=registry,
        force_accept=force_accept,
        seed=seed,
    )
    if target:
        flags["serving"] = {"target": target}
    settings = load_run_settings(environment, preset, flags)
    tell_overridden(environment, preset)
    # With --json stdout is for a program; the progress goes to stderr.
    terminal = clean_console(sys.stderr if as_json else sys.stdout)
    progress = Progress(terminal)
    try:
        result = run_locally(settings, environment, progress, runner.value)
    finally:
        progress.close()
    if as_json:
        in_force = settings.model_dump(mode="json") | {"environment": environment, "preset": preset}
        typer.echo(json.dumps(summary_as_json(result, in_force), indent=2))
    else:
        print_summary(terminal, result)


@app.command()
def sample_data(
    directory: Annotated[Path, typer.Argument(help="Gets keypoints.csv and expression.csv.")],
    faces: Annotated[int, typer.Option(help="How many faces to draw.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
) -> None:
    """Draw a sample data set in the formats of Kaggle's files."""
    from emotion_ai.sample.files import write_sample

    write_sample(directory, faces, seed)
    typer.echo(f"{faces} faces: {directory}/keypoints.csv and {directory}/expression.csv")


# `serve` parses its flags itself, --help too.
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)(serve)
for command in (answers, audit, predict, watch, console, rollout, describe, publish):
    app.command()(command)


@app.command("compile")
def compile_command(
    environment: Annotated[
        str, typer.Option(callback=refuse_empty, help=f"{ENVIRONMENT_NAMES}, or a YAML file.")
    ] = "cluster",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The file to write; default: emotion-ai.yaml, or emotion-ai-rollout.yaml.",
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help=f"{PRESET_NAMES}, or a YAML file; default: the environment's.",
        ),
    ] = "",
    pipeline: Annotated[
        Pipeline,
        typer.Option(help="From data to a release that serves, or the rollout of one release."),
    ] = Pipeline.TRAINING,
) -> None:
    """Compile a pipeline for an environment, to submit with the kfp CLI."""
    from emotion_ai.pipeline.compiler import compile_pipeline
    from emotion_ai.pipeline.policy import STEPS, step_resources
    from emotion_ai.pipeline.resources import largest_requests
    from emotion_ai.pipeline.settings import load_environment, load_run_settings
    from emotion_ai.registry.placeholders import example_sentence

    settings = load_run_settings(environment, preset)
    tell_overridden(environment, preset)
    compile_settings = load_environment(environment).compile
    is_rollout = pipeline is Pipeline.ROLLOUT
    output = output or Path("emotion-ai-rollout.yaml" if is_rollout else "emotion-ai.yaml")
    compile_pipeline(compile_settings, settings, output, pipeline.value)
    names = {"compile.image": compile_settings.image, "run.registry": settings.registry}
    for setting, name in (names | {"run.checkpoints": settings.checkpoints}).items():
        if sentence := example_sentence(setting, name):
            sys.stderr.write(f"emotion-ai: {sentence}\n")
    typer.echo(f"{output}: compiled for environment {environment}")
    steps = ["rollout"] if is_rollout else STEPS
    largest = largest_requests((step, step_resources(step, compile_settings)) for step in steps)
    typer.echo(
        f"a node must have free at least {largest.cpu} CPU (for {largest.cpu_step}) and "
        f"{largest.memory} of memory (for {largest.memory_step})"
    )


def main() -> None:
    """Run the command; a failure is one line on stderr and exit code 2 (user) or 1 (system)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    clean_streams()
    try:
        with scratch_folder(), complete_output():
            app(expand_home(sys.argv[1:]))
    except EmotionAIError as failure:
        sys.stderr.write(f"emotion-ai: {one_line(failure)}\n")
        sys.exit(failure.exit_code)
    except ModuleNotFoundError as missing:
        sys.stderr.write(
            f"emotion-ai: package {missing.name} is not installed: {install_hint('pipeline')}\n"
        )
        sys.exit(2)
    except SystemExit as end:
        # Typer turns Ctrl-C into this code and says nothing.
        if end.code == INTERRUPTED:
            exit_interrupted()
        raise
