"""The command `emotion-ai answers`."""

from pathlib import Path
from typing import Annotated

import typer

from emotion_ai.pipeline.cli.options import (
    Emotions,
    ExpressionSource,
    LabelSet,
    OwnEnvironment,
    Preset,
    RegistryOfReleases,
    Seed,
    given,
    refuse_empty,
)
from emotion_ai.pipeline.cli.overridden import tell_overridden


def answers(
    teachers: Annotated[
        str,
        typer.Option(
            callback=refuse_empty, help="Releases that answer: numbers, champion, pretrained."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bank to write, an .npz.")],
    expression: ExpressionSource = "",
    label_set: LabelSet = "",
    emotions: Emotions = "",
    preset: Preset = "",
    registry: RegistryOfReleases = "",
    environment: OwnEnvironment = "local",
    seed: Seed = None,
    epochs: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Epochs to answer; a longer training goes round them."),
    ] = 8,
) -> None:
    """Write what releases answer to a run's training faces: a bank for `run --teachers FILE`."""
    from emotion_ai.pipeline.local.answers import write_answers
    from emotion_ai.pipeline.settings import load_run_settings

    flags = given(
        expression=expression,
        label_set=label_set,
        emotions=emotions,
        registry=registry,
        teachers=teachers,
        seed=seed,
    )
    settings = load_run_settings(environment, preset, flags)
    tell_overridden(environment, preset)
    info = write_answers(
        settings, epochs, output, lambda done: typer.echo(f"epoch {done}/{epochs} answered")
    )
    typer.echo(f"{output}: answers of {', '.join(teacher.name for teacher in info.teachers)}")
