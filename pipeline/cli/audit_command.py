"""The command `emotion-ai audit`."""

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
    given,
    refuse_empty,
)
from emotion_ai.pipeline.cli.overridden import tell_overridden


def audit(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The page (.html) or table (.csv) to write.")
    ],
    expression: ExpressionSource = "",
    label_set: LabelSet = "",
    emotions: Emotions = "",
    release: Annotated[
        str,
        typer.Option(
            callback=refuse_empty,
            help="Whose features judge: pretrained, champion or the number of a release.",
        ),
    ] = "pretrained",
    count: Annotated[
        int, typer.Option(min=1, max=20_000, help="How many of the most doubtful to show.")
    ] = 2500,
    preset: Preset = "",
    registry: RegistryOfReleases = "",
    environment: OwnEnvironment = "local",
) -> None:
    """Find the labels that are most likely wrong, to look through and correct."""
    from emotion_ai.pipeline.local.audit import write_audit
    from emotion_ai.pipeline.settings import load_run_settings

    flags = given(expression=expression, label_set=label_set, emotions=emotions, registry=registry)
    settings = load_run_settings(environment, preset, flags)
    tell_overridden(environment, preset)
    judged = write_audit(
        settings, release, count, output, lambda done: typer.echo(f"{done:,} faces seen", err=True)
    )
    typer.echo(f"{output}: the {min(count, judged):,} most doubtful of {judged:,} labels")
