"""The summary that `emotion-ai run` prints on a terminal."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from emotion_ai.pipeline.local.run import LocalRun
from emotion_ai.pipeline.local.summary import print_summary


def _accepted_run(forced: str) -> LocalRun:
    record = {
        "outcome": "accepted",
        "release": 1,
        "champion": 1,
        "steps": {"gate": {"checks": [], "forced": forced}, "push": {"new": True}},
    }
    return LocalRun(
        run_id="run-1",
        registry="registry",
        seconds=1.0,
        steps=[],
        record=record,
        page="index.html",
        log=Path("run-1.log"),
        faces=[Path("faces/happy.png")],
        predictions=[],
    )


@pytest.mark.parametrize(
    ("forced", "line"),
    [
        ("", "accepted: release 1"),
        ("a [demo] of two epochs", "accepted by force (a [demo] of two epochs): release 1"),
    ],
)
def test_print_summary_says_how_a_release_was_accepted(forced: str, line: str) -> None:
    output = io.StringIO()
    print_summary(Console(file=output, width=40), _accepted_run(forced))
    assert line in output.getvalue().splitlines()
