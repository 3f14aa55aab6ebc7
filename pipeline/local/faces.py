"""Faces for the commands that look at a run's data without a run."""

from pathlib import Path

from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.steps.ingest.run import run as ingest


def ingest_expression(settings: RunSettings, folder: Path) -> Faces:
    """Read a run's expression source into a folder, as the first step of the run does.

    Raises:
        InputError: The source or a setting is invalid.
        Unavailable: The storage failed.
    """
    ingest(
        source=settings.expression,
        fingerprint="",
        kind=EXPRESSION.name,
        label_set=settings.label_set,
        emotions=settings.emotions,
        checks=settings.checks.model_dump(),
        faces_path=str(folder),
        report_path=str(folder.with_suffix(".html")),
        statistics_path=str(folder.with_suffix(".json")),
    )
    return Faces(folder)
