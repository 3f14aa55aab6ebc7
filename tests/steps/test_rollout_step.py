"""The step rollout: its record, also of a rollout that fails, and what the run's page shows."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import Unavailable
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.runs import read_records
from emotion_ai.steps.notify.rollout_section import rollout_section
from emotion_ai.steps.rollout.run import run as rollout

from support.minimal_release import write_minimal_release

RECORD: dict[str, Any] = {
    "target": "kubernetes",
    "version": 7,
    "outcome": "rolled out",
    "previous": None,
    "namespace": "emotion-ai",
    "answers_checked": 12,
    "largest_difference": 4e-06,
    "revision": "9",
    "canary": {
        "pod": "canary-pod",
        "node": "node-2",
        "golden": 12,
        "largest_difference": 4e-06,
        "requests": 312,
        "errors": 0,
        "p95_ms": 18.9,
        "stable_p95_ms": None,
        "share": 0.25,
        "judged_by": "callers",
    },
    "phases": [
        {"name": "bake", "at": "2026-11-25T12:00:00+00:00", "seconds": 300.2},
        {"name": "pods", "at": "2026-11-25T12:05:00+00:00", "seconds": 100.0},
    ],
    "endpoints": [
        {
            "pod": "stable-pod",
            "node": "node-1",
            "address": "10.244.1.7",
            "version": 7,
            "largest_difference": 4e-06,
        }
    ],
    "seconds": 372.4,
}


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A registry with one release."""
    files, draft = write_minimal_release(tmp_path / "files", "a")
    publish(str(tmp_path / "registry"), files, draft)
    return str(tmp_path / "registry")


def test_the_record_of_a_rollout_that_fails_says_why(registry: str) -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1\b") as failure:
        rollout(registry, 1, "127.0.0.1:1", "local", {}, "run-1")
    record = read_records(registry, "run-1")["rollout"]
    assert record.pop("seconds") >= 0
    assert record == {
        "target": "local",
        "version": 1,
        "outcome": "failed",
        "server": "127.0.0.1:1",
        "reasons": [str(failure.value)],
    }


def test_the_record_of_an_interrupted_rollout_says_so(registry: str) -> None:
    code = f"""
from emotion_ai.steps.rollout.run import run
run({registry!r}, 1, ADDRESS, "local", {{}}, "run-1")
"""
    # A server that accepts connections and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-c", code.replace("ADDRESS", repr(address))]
        with subprocess.Popen(command) as process:
            server.accept()
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    record = read_records(registry, "run-1")["rollout"]
    assert (record["outcome"], record["version"]) == ("interrupted", 1)


def plain_spaces(page: str) -> str:
    """Return a page without the spaces that keep a number and its unit on one line."""
    return page.replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_shows_canary_phases_and_verified_servers() -> None:
    page = plain_spaces(rollout_section(RECORD, "release 6 was put back with kubectl; adopted"))
    assert '<span class="good">rolled out</span>' in page
    for name, value in (
        ("namespace", "emotion-ai"),
        ("revision", "9"),
        ("before it", "no release"),
        ("largest difference", "4e-06"),
        ("before the run", "release 6 was put back with kubectl; adopted"),
        ("pod", "canary-pod on node-2"),
        ("requests of callers", "312, of them failed: 0"),
        ("95 % answered within", "19 ms"),
        ("share of the requests", "25 %"),
        ("judged by", "callers"),
    ):
        assert f"<td>{name}</td><td>{value}</td>" in page
    assert "<td>bake</td><td>2026-11-25 12:00:00</td><td>300 s</td>" in page
    assert page.count("width: 15.00rem") == page.count("width: 5.00rem") == 1
    assert "<td>stable-pod</td><td>node-1</td><td>10.244.1.7</td><td>7</td><td>4e-06</td>" in page


def test_the_page_shows_why_a_release_was_refused() -> None:
    canary = {"pod": "canary-pod", "node": "node-2", "golden": 12, "largest_difference": 0.0}
    refused = {"outcome": "refused", "reasons": ["p95 <90 ms>"], "canary": canary}
    page = plain_spaces(rollout_section(refused, ""))
    assert '<span class="bad">refused</span>' in page
    assert "<td>why</td><td>p95 &lt;90 ms&gt;</td>" in page
    assert "Phases" not in page
    assert "Verified servers" not in page


def test_the_page_shows_a_record_of_earlier_code() -> None:
    page = rollout_section({"version": 1, "server": "127.0.0.1:8500", "previous": 3}, "")
    assert "<td>server</td><td>127.0.0.1:8500</td>" in page
    assert "<td>before it</td><td>release 3</td>" in page
