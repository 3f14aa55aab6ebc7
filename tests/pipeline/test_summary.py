"""The summary that `emotion-ai run` prints on a terminal."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emotion_ai.pipeline.local.progress import RunMonitor, Step, capture_run
from emotion_ai.pipeline.local.run import LocalRun
from emotion_ai.pipeline.local.summary import Progress, print_summary
from emotion_ai.rollouts.settings import TlsFiles


def _accepted_run(forced: str, namespace: str = "", **steps: dict[str, Any]) -> LocalRun:
    record = {
        "outcome": "accepted",
        "release": 1,
        "champion": 1,
        "steps": {"gate": {"checks": [], "forced": forced}, "push": {"new": True}} | steps,
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
        namespace=namespace,
    )


def _printed(run: LocalRun) -> list[str]:
    output = io.StringIO()
    print_summary(Console(file=output, width=40), run)
    return output.getvalue().splitlines()


@pytest.mark.parametrize(
    ("forced", "line"),
    [
        ("", "accepted: release 1"),
        ("a [demo] of two epochs", "accepted by force (a [demo] of two epochs): release 1"),
    ],
)
def test_print_summary_says_how_a_release_was_accepted(forced: str, line: str) -> None:
    assert line in _printed(_accepted_run(forced))


def test_print_summary_says_how_to_ask_the_servers_of_the_target() -> None:
    assert "Serve it, and ask it again from another terminal:" in _printed(_accepted_run(""))
    lines = _printed(_accepted_run("", namespace="faces"))
    assert "See what serves, and ask it again from another terminal:" in lines
    assert "  kubectl -n faces port-forward service/emotion-ai 8500" in lines
    assert any(
        line.endswith("describe --registry registry --target kubernetes --namespace faces")
        for line in lines
    )


def test_print_summary_says_how_to_ask_servers_with_tls() -> None:
    files = TlsFiles(authority="my ca.crt", certificate="client.crt", key="client.key")
    lines = _printed(replace(_accepted_run("", namespace="faces"), tls=files))
    (line,) = (line for line in lines if "--server 127.0.0.1:8500" in line)
    assert " --tls-ca 'my ca.crt' --tls-certificate client.crt --tls-key client.key " in line
    assert " --tls-name emotion-ai " in line


def test_print_summary_has_no_options_of_tls_for_servers_in_plain_text() -> None:
    """The settings of every run name the servers of a certificate, if there is one."""
    lines = _printed(replace(_accepted_run(""), tls=TlsFiles()))
    assert not [line for line in lines if "--tls" in line]
    assert [line for line in lines if line.endswith("--server 127.0.0.1:8500 --format table")]


def test_print_summary_says_that_a_newer_release_serves() -> None:
    rollout = {"outcome": "superseded", "reasons": ["release 8 serves"]}
    lines = _printed(_accepted_run("", rollout=rollout))
    assert "accepted: release 1; superseded: release 8 serves" in lines


def test_print_summary_says_first_what_the_run_adopted() -> None:
    adopted = "release 1 was put back with kubectl; adopted"
    lines = _printed(_accepted_run("", resolve={"adopted": adopted}))
    assert lines.index(f"Before the run: {adopted}") < lines.index("The gate")


def test_progress_on_a_terminal_shows_the_steps_that_run_and_nothing_that_they_print() -> None:
    output = io.StringIO()
    progress = Progress(Console(file=output, width=80, force_terminal=True))
    with capture_run(RunMonitor({}, io.StringIO(), progress)):
        for name in ("train keypoints", "train expression"):
            progress(Step(name, "running", lines=["epoch 1/5"]))
            sys.stdout.write("a line of KFP's\n")
        progress(Step("train keypoints", "done", 1.5))
        progress.close()
    text = output.getvalue()
    assert "a line of KFP's" not in text
    assert "train keypoints" in text.split("train expression")[0]
    assert "train keypoints           1.5 s  " in text


def test_progress_elsewhere_says_which_step_an_epoch_is_of() -> None:
    output = io.StringIO()
    progress = Progress(Console(file=output, width=80))
    for name in ("train keypoints", "train expression"):
        progress(Step(name, "running", lines=["loading", "epoch 1/5  loss 0.5"]))
    assert output.getvalue().splitlines() == [
        "    train keypoints: epoch 1/5  loss 0.5",
        "    train expression: epoch 1/5  loss 0.5",
    ]
