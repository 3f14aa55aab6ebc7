"""The list of runs of `emotion-ai describe`: the newest last, and no more than are read quickly."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from emotion_ai import storage
from emotion_ai.pipeline.cli.main import app
from emotion_ai.pipeline.registry_printer import print_registry
from emotion_ai.registry import run_list
from emotion_ai.registry.run_list import list_runs
from emotion_ai.registry.runs import run_uri, write_record


def write_run(registry: str, run_id: str, outcome: str, **more: Any) -> None:
    write_record(registry, run_id, "resolve", {"started": "2026-11-26T03:00:00+00:00"})
    summary = {"run_id": run_id, "outcome": outcome, "message": "", "reasons": []}
    push = {"push": {"gate": {"forced": more.pop("forced", "")}}}
    steps = {"resolve": {"started": "2026-11-26T03:00:00+00:00"}} | push
    finished = {"finished": "2026-11-26T04:02:03+00:00", "release": None}
    write_record(registry, run_id, "run", summary | {"steps": steps} | finished | more)


def printed(registry: str) -> list[str]:
    file = io.StringIO()
    description = {"registry": registry, "champion": None, "releases": []} | list_runs(registry)
    print_registry(Console(file=file, width=200), description)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_registry_without_runs_has_an_empty_list(registry: str) -> None:
    assert list_runs(registry) == {"runs": [], "earlier_runs": 0}
    assert "RUN" not in " ".join(printed(registry))


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_runs_are_listed_as_they_ended_the_newest_last(
    registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(registry, "b-rejected", "rejected")
    write_run(registry, "z-forced", "accepted", release=3, forced="a trial")
    write_record(registry, "a-going-on", "resolve", {"started": "2026-11-26T05:00:00+00:00"})
    storage.write_bytes(storage.join(run_uri(registry, "c-damaged"), "run.json"), b"{")
    for hour, name in enumerate(("b-rejected", "z-forced", "a-going-on", "c-damaged")):
        for path in Path(registry, "runs", name).iterdir():
            os.utime(path, (1e9 + hour, 1e9 + hour))
    ended = {"finished": "2026-11-26T04:02:03+00:00", "seconds": 3723.0}
    begun = {"finished": "", "seconds": None, "release": None}
    assert list_runs(registry)["runs"] == [
        {"run_id": "b-rejected", "outcome": "rejected", "release": None} | ended,
        {"run_id": "z-forced", "outcome": "accepted by force", "release": 3} | ended,
        {"run_id": "a-going-on", "outcome": "unfinished"} | begun,
        {"run_id": "c-damaged", "outcome": "unknown"} | begun,
    ]
    assert printed(registry)[-5:] == [
        "RUN         OUTCOME            RELEASE  FINISHED (UTC)    TOOK",
        "b-rejected  rejected                    2026-11-26 04:02  1:02:03",
        "z-forced    accepted by force  3        2026-11-26 04:02  1:02:03",
        "a-going-on  unfinished",
        "c-damaged   unknown",
    ]
    monkeypatch.setattr(run_list, "MAX_RUNS", 1)
    assert list_runs(registry)["earlier_runs"] == 3
    assert printed(registry)[-2:] == ["c-damaged  unknown", "and 3 before them"]


def test_describe_has_the_runs_in_json(registry: str) -> None:
    write_run(registry, "nightly", "rejected")
    result = CliRunner().invoke(app, ["describe", "--registry", registry, "--json"])
    assert result.exit_code == 0
    description = json.loads(result.output)
    assert [run["run_id"] for run in description["runs"]] == ["nightly"]
    assert description["earlier_runs"] == 0
