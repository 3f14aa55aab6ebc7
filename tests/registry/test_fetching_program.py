"""The program that fetches a release in a pod: its result and its reasons."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    read_release,
)
from emotion_ai.rollouts.cluster.names import REGISTRY_VARIABLE, RELEASE_VARIABLE

from support.fetched_releases import assert_holds
from support.minimal_release import Publisher


def run_program(into: Path, log: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotion_ai.registry.fetching", "--into", str(into)]
    inherited = {name: value for name, value in os.environ.items() if name != RELEASE_VARIABLE}
    return subprocess.run(
        [*command, "--termination-log", str(log)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_program_leaves_its_result_as_the_termination_message(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    log.write_text("the message of a former container, which was longer than this one's " * 10)
    environment = {REGISTRY_VARIABLE: registry, RELEASE_VARIABLE: "1"}
    done = run_program(into, log, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"release 1 is in {into}/emotion_ai/1: ")
    message = json.loads(log.read_text())
    assert message.pop("seconds") > 0
    size = sum(file.size for file in read_release(registry, 1).files.values())
    assert message == {"release": 1, "content_digest": "a", "bytes": size}
    assert_holds(into, registry, 1)


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_the_program_ends_with_the_reason_as_the_termination_message(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    log.touch()
    altered = Path(registry, "1", GRAPH_PATH)
    altered.write_bytes(altered.read_bytes()[::-1])
    for release, code, reason in (
        ("abc", 2, "RELEASE=abc: expected the number of a release, 1 or more"),
        ("0", 2, "RELEASE=0: expected the number of a release, 1 or more"),
        ("2", 2, f"{registry}: no release 2; there are: 1"),
        ("1", 1, f"{altered}: is not the file that release.json lists; publish a new release or"),
    ):
        done = run_program(into, log, REGISTRY=registry, RELEASE=release)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (code, "")
        assert line == f"emotion-ai: error (exit code {code}): {log.read_text()}"
        assert log.read_text().startswith(reason)
    no_registry = run_program(into, log, REGISTRY="")
    assert no_registry.returncode == 2
    assert log.read_text().startswith("REGISTRY is not set; expected a folder or gs://")


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_the_program_makes_no_termination_message_outside_a_pod(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    # An empty RELEASE is none.
    write_champion(registry, 1)
    assert run_program(into, log, REGISTRY=registry, RELEASE="").returncode == 0
    assert not log.exists()


def test_the_program_is_light() -> None:
    script = (
        "import sys\n"
        "import emotion_ai.registry.fetching, emotion_ai.storage.gcs\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {
        "tensorflow",
        "tensorflow_serving",
        "keras",
        "pandas",
        "kfp",
        "kubernetes",
        "google.cloud",
        "grpc",
    }
