"""The step notify: how a run ended, in run.json, on its page and in one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emotion_ai.pipeline.cli.main import app
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.runs import read_records, record_report, write_record
from emotion_ai.steps.notify.run import run as notify
from emotion_ai.steps.notify.run import summarise

from support.minimal_release import write_minimal_release

_CHECK = {
    "name": "expression/PublicTest/accuracy",
    "comparison": "floor",
    "value": 0.41,
    "limit": 0.5,
    "passed": False,
    "sentence": "accuracy 0.41 is under the floor of 0.5",
}


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A registry with release 1 as its champion and a run that has begun."""
    registry = str(tmp_path / "registry")
    files, draft = write_minimal_release(tmp_path / "export", "a")
    publish(registry, files, draft)
    write_champion(registry, 1)
    write_record(registry, "run-1", "resolve", {"champion": "1", "keypoints": "<b>faces.csv"})
    return registry


def _notify(registry: str, state: str = "SUCCEEDED", error: str = "") -> tuple[dict, str]:
    notify({"state": state, "error": error}, registry, "run-1")
    page = Path(registry, "runs", "run-1", "index.html").read_text()
    return read_records(registry, "run-1")["run"], page


def _push(registry: str, **changes: Any) -> None:
    gate = {
        "outcome": "accepted",
        "reasons": ["the floors are kept"],
        "checks": [_CHECK | {"passed": True}],
    }
    record = {"version": 1, "new": True, "gate": gate}
    write_record(registry, "run-1", "push", record | changes)


def test_notify_shows_the_release_and_the_gate_of_an_accepted_run(
    registry: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _push(registry)
    write_record(registry, "run-1", "rollout", {"version": 1, "server": "127.0.0.1:8500"})
    report = Path(registry).parent / "report"
    report.write_text("<!doctype html>")
    record_report(registry, "run-1", "evaluation", str(report))
    summary, page = _notify(registry)
    assert summary["outcome"] == "accepted"
    assert summary["release"] == summary["champion"] == 1
    assert summary["reports"] == ["evaluation"]
    assert summary["reasons"] == ["the floors are kept"]
    assert "The floors are kept." in page
    assert set(summary["steps"]) == {"resolve", "push", "rollout"}
    assert "The candidate was accepted" in page
    assert "fer2013.csv: 70 rows" in page
    # The words of the evaluation's page, and no others.
    assert "accuracy 0.41 is under the floor of 0.5" in page
    assert "expression/PublicTest/accuracy" not in page.partition("Records of the steps")[0]
    assert ">Evaluation of the candidate</a>" in page
    (link,) = re.findall('href="([^"]+)"', page)
    assert Path(registry, "runs", "run-1", link).read_text() == "<!doctype html>"
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "run run-1: accepted: release 1 was accepted and answered at 127.0.0.1:8500" in out


def test_notify_names_a_release_with_unchanged_content(registry: str) -> None:
    _push(registry, new=False)
    summary, _ = _notify(registry)
    assert summary["message"] == "release 1, the same as before, was accepted"


def test_notify_shows_the_reasons_of_a_rejected_run(registry: str) -> None:
    decision = {"outcome": "rejected", "reasons": [_CHECK["sentence"]], "checks": [_CHECK]}
    write_record(registry, "run-1", "reject", decision)
    summary, page = _notify(registry)
    assert summary["outcome"] == "rejected"
    assert summary["release"] is None
    assert summary["champion"] == 1
    assert summary["reasons"] == [_CHECK["sentence"]]
    assert "The candidate was rejected" in page
    assert '<span class="bad">failed</span>' in page
    assert "<b>faces.csv" not in page
    assert "&lt;b&gt;faces.csv" in page


def test_notify_repeats_the_error_of_a_failed_run(registry: str) -> None:
    _push(registry)
    summary, page = _notify(registry, "FAILED", "train_keypoints: loss is not finite")
    assert summary["outcome"] == "failed"
    assert "train_keypoints: loss is not finite" in page


def test_notify_names_the_failed_step(registry: str) -> None:
    _push(registry)
    failure = {"step": "roll out", "message": "127.0.0.1:1 does not answer", "exit_code": 1}
    write_record(registry, "run-1", "failure", failure)
    summary, page = _notify(registry, "FAILED", "exit status 1")
    assert summary["failure"] == failure
    assert summary["message"] == "step roll out: 127.0.0.1:1 does not answer"
    assert "step roll out: 127.0.0.1:1 does not answer." in page
    lines = _printed(["describe", "--run", "run-1", "--registry", registry])
    assert "step      roll out" in lines
    assert "reason    127.0.0.1:1 does not answer" in lines
    description = json.loads(
        "".join(_printed(["describe", "--run", "run-1", "--registry", registry, "--json"]))
    )
    assert description["failure"] == failure
    assert description["page"].endswith("/runs/run-1/index.html")


def _printed(arguments: list[str]) -> list[str]:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.output.splitlines()


def test_page_of_a_failed_run_has_its_steps_and_the_end_of_the_log(registry: str) -> None:
    report = Path(registry).parent / "report"
    report.write_text("<!doctype html>")
    record_report(registry, "run-1", "keypoint-data", str(report))
    failure = {"step": "train keypoints", "message": "the loss is not finite", "exit_code": 1}
    timeline = [
        {"step": "resolve sources", "state": "done", "seconds": 1.234},
        {"step": "ingest keypoints", "state": "cached", "seconds": 0.0},
        {"step": "train keypoints", "state": "failed", "seconds": 10.0},
        {"step": "train expression", "state": "running", "seconds": None},
    ]
    status = {
        "state": "FAILED",
        "failures": [failure | {"log": ["epoch 1/2", "loss <nan>"]}],
        "timeline": timeline,
    }
    assert summarise(status, registry, "run-1")["timeline"] == timeline
    page = Path(registry, "runs", "run-1", "index.html").read_text()
    assert "<h2>Why step train keypoints failed</h2>\n<p>the loss is not finite</p>" in page
    assert "epoch 1/2\nloss &lt;nan&gt;</pre>" in page
    assert ">Data report of the faces with keypoints</a>" in page
    rows = re.findall(
        r"<tr><td>(.*?)</td><td><span class=\"(\w*)\">(.*?)</span></td><td>(.*?)<", page
    )
    assert rows == [
        ("resolve sources", "good", "done", "1.2\N{NO-BREAK SPACE}s"),
        ("ingest keypoints", "", "from the cache", ""),
        ("train keypoints", "bad", "failed", "10.0\N{NO-BREAK SPACE}s"),
        ("train expression", "bad", "did not end", ""),
    ]
    lines = _printed(["describe", "--run", "run-1", "--registry", registry])
    assert "log       loss <nan>" in lines


def test_page_says_that_the_gate_was_overruled(registry: str) -> None:
    gate = {"outcome": "accepted", "forced": "a trial", "reasons": [], "checks": [_CHECK]}
    _push(registry, gate=gate)
    summary, page = _notify(registry)
    assert summary["outcome"] == "accepted"
    assert summary["message"] == "release 1 was accepted by force (a trial)"
    assert "<h1>The candidate was accepted by force</h1>" in page
    assert "<b>accepted by force</b><span>outcome</span>" in page


def test_page_says_what_the_run_was_given_and_how_long_it_took(registry: str) -> None:
    settings = {"seed": 7, "init": "champion", "emotions": "", "teachers": [1, "champion"]}
    settings |= {"keypoint_training": {"epochs": 0}, "expression_training": {"epochs": 9}}
    record = {"keypoints": "k.csv", "expression": "e.csv", "champion": "1", "settings": settings}
    write_record(registry, "run-1", "resolve", record | {"started": "2026-11-26T03:00:00+00:00"})
    _, page = _notify(registry)
    rows = dict(re.findall("<tr><td>([^<]*)</td><td>([^<]*)</td></tr>", page))
    assert rows == {
        "faces with keypoints": "k.csv",
        "faces with emotions": "e.csv",
        "seed": "7",
        "weights": "champion",
        "teachers": "1, champion",
        "epochs at most": "keypoints 0, expression 9",
        "champion before it": "1",
    }
    assert re.search(r"<b>[^<]*\d+:\d\d:\d\d</b><span>took</span>", page)


def test_notify_takes_what_the_pods_say_before_what_a_step_left(registry: str) -> None:
    stale = {"step": "resolve sources", "message": "an earlier try", "exit_code": 1}
    write_record(registry, "run-1", "failure", stale)
    failure = {"step": "train keypoints", "message": "loss is not finite", "exit_code": 2}
    status = {"state": "FAILED", "failures": [failure]}
    assert summarise(status, registry, "run-1")["failure"] == failure


@pytest.mark.parametrize(
    ("state", "records", "outcome"),
    [
        # What back ends with ML Metadata say.
        ("COMPLETE", {"push": {"version": 1, "new": True}}, "accepted"),
        ("COMPLETE", {"reject": {"reasons": ["too low"]}}, "rejected"),
        ("CANCELED", {}, "interrupted"),
        # The back end does not know of the end of a group with a condition, nor of a stopped run.
        ("RUNNING", {"reject": {"reasons": ["too low"]}}, "rejected"),
        (
            "RUNNING",
            {"push": {"version": 1, "new": True}, "rollout": {"outcome": "rolled out"}},
            "accepted",
        ),
        ("RUNNING", {"push": {"version": 1, "new": True}}, "interrupted"),
        (
            "RUNNING",
            {
                "push": {"version": 1, "new": True},
                "rollout": {"outcome": "rolled back"},
                "failure": {"step": "roll out", "message": "differs", "exit_code": 1},
            },
            "failed",
        ),
        (
            "RUNNING",
            {"failure": {"step": "a", "message": "killed", "exit_code": 143}},
            "interrupted",
        ),
        ("UNKNOWN", {}, "interrupted"),
    ],
)
def test_notify_judges_by_the_records_where_kfp_does_not_say(
    registry: str, state: str, records: dict[str, Any], outcome: str
) -> None:
    for name, record in records.items():
        write_record(registry, "run-1", name, record)
    summary, _ = _notify(registry, state)
    assert (summary["outcome"], summary["state"]) == (outcome, state)


@pytest.mark.parametrize(
    ("rollout", "ending"),
    [
        ({"outcome": "superseded", "target": "kubernetes"}, "was accepted; a newer one answers"),
        (
            {"outcome": "unchanged", "namespace": "faces", "revision": "9"},
            "was accepted and rolled out in faces, revision 9",
        ),
    ],
)
def test_notify_says_what_became_of_the_rollout_in_a_cluster(
    registry: str, rollout: dict[str, str], ending: str
) -> None:
    _push(registry)
    write_record(registry, "run-1", "rollout", rollout)
    assert _notify(registry)[0]["message"].endswith(ending)


def test_notify_reports_a_run_without_decision_as_failed(registry: str) -> None:
    summary, _ = _notify(registry)
    assert summary["outcome"] == "failed"
    assert "without a release and without a rejection" in summary["message"]


def test_notify_writes_a_page_for_a_run_without_records(tmp_path: Path) -> None:
    summary, page = _notify(str(tmp_path / "registry"), "CANCELLED")
    assert summary["outcome"] == "interrupted"
    assert summary["champion"] is None
    assert "The run was interrupted" in page


def test_notify_is_idempotent(registry: str) -> None:
    _push(registry)
    first, _ = _notify(registry)
    second, _ = _notify(registry)
    assert first | {"finished": ""} == second | {"finished": ""}
