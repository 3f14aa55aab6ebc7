"""The commands `rollout` and `describe` with target kubernetes: options, output, exit codes."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emotion_ai.pipeline.cli.installation import Flags, load_installation
from emotion_ai.pipeline.cluster_printer import rollout_lines
from emotion_ai.registry.publishing import publish

from support.command_line import assert_refused, emotion_ai
from support.minimal_release import write_minimal_release

RECORD: dict[str, Any] = {
    "target": "kubernetes",
    "version": 7,
    "outcome": "rolled out",
    "previous": 6,
    "revision": "9",
    "replicas": 3,
    "canary": {
        "pod": "canary",
        "node": "node-2",
        "golden": 12,
        "largest_difference": 4e-06,
        "summary": "312 requests in 300 s: 0 errors, p95 18 ms (stable 18 ms)",
    },
    "endpoints": [{"pod": pod} for pod in ("a", "b", "c", "canary")],
    "seconds": 372.4,
}


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry with one release; there is no kubeconfig."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    files, draft = write_minimal_release(tmp_path / "files", "a")
    publish(str(tmp_path / "registry"), files, draft)
    return str(tmp_path / "registry")


def test_options_override_the_environment(tmp_path: Path) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text(
        "run:\n"
        "  registry: gs://faces/registry\n"
        "  serving:\n"
        "    target: kubernetes\n"
        "    rollout: {namespace: faces, canary: {bake_s: 60, max_bake_s: 90}, watch_s: 5}\n"
    )
    settings = load_installation(str(environment), Flags())
    assert (settings.registry, settings.serving.target) == ("gs://faces/registry", "kubernetes")
    assert settings.serving.rollout.namespace == "faces"
    files = {"authority": Path("ca.pem"), "certificate": Path("tls.crt"), "key": Path("tls.key")}
    flags = Flags("./mine", namespace="others", bake_s=120, tls=files)
    settings = load_installation(str(environment), flags)
    assert settings.registry == "./mine"
    rollout = settings.serving.rollout
    assert (rollout.namespace, rollout.watch_s) == ("others", 5)
    # A longer bake than the environment allows to wait for.
    assert (rollout.canary.bake_s, rollout.canary.max_bake_s) == (120, 120)
    tls = rollout.tls
    assert (tls.authority, tls.certificate, tls.key) == ("ca.pem", "tls.crt", "tls.key")
    local = load_installation("local", Flags())
    assert (local.registry, local.serving.target) == ("./registry", "local")


def test_rollout_ends_with_two_lines() -> None:
    assert [*rollout_lines(RECORD)] == [
        "release 7: canary on node-2 proven (12 golden answers, largest difference 4e-06), "
        "312 requests in 300 s: 0 errors, p95 18 ms (stable 18 ms)",
        "release 7: promoted, revision 9, 3 of 3 pods answer as release 7 (before: 6); 6 min 12 s",
    ]


def test_rollout_says_why_there_was_no_bake() -> None:
    canary = {k: v for k, v in RECORD["canary"].items() if k != "summary"}
    canary["judged_by"] = "golden answers: no release serves yet"
    first, second = rollout_lines(RECORD | {"canary": canary, "previous": None, "seconds": 41.0})
    assert first.endswith("4e-06), judged by golden answers: no release serves yet")
    assert second.endswith("as release 7 (before: none); 41 s")


def test_rollout_of_what_serves_is_one_line() -> None:
    without = {k: v for k, v in RECORD.items() if k != "canary"}
    endpoints = [{"pod": pod} for pod in "abc"]
    (line,) = rollout_lines(without | {"outcome": "unchanged", "endpoints": endpoints})
    assert line.startswith("release 7: served before, revision 9, 3 of 3 pods answer as release 7;")
    superseded = {"outcome": "superseded", "reasons": ["release 8 serves"]}
    assert [*rollout_lines(without | superseded)] == ["release 7: superseded: release 8 serves"]


def test_rollout_without_a_cluster_is_one_sentence(registry: str) -> None:
    arguments = ("rollout", "1", "--registry", registry, "--target", "kubernetes")
    assert_refused(emotion_ai(*arguments), 2, "no cluster", "set KUBECONFIG")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bake", "0", "--target", "kubernetes"), "--reason"),
        (("--bake", "0", "--reason", "a try"), "--bake: only for target kubernetes"),
        (("--namespace", "x", "--tls-ca", "ca.pem"), "--namespace, --tls-...: only for target"),
        (("--server", "127.0.0.1:1", "--target", "kubernetes"), "--server is for target local"),
        (("--target", "moon"), "serving.target = 'moon'"),
        (("--target", "kubernetes", "--namespace", "No Name"), "rollout.namespace = 'No Name'"),
        (("--environment", "moon"), "environment 'moon' is unknown"),
    ],
)
def test_rollout_refuses_options_that_do_not_fit(
    registry: str, options: tuple[str, ...], words: str
) -> None:
    assert_refused(emotion_ai("rollout", "1", "--registry", registry, *options), 2, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "kubernetes"), "no cluster"),
        (("--environment", "../mine.yaml"), "no cluster"),
        (("--target", "kubernetes", "--runner", "docker"), "--runner docker"),
        (("--target", "moon"), "serving.target = 'moon'"),
    ],
)
def test_run_looks_for_the_cluster_before_it_starts(
    registry: str, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "mine.yaml").write_text("preset: quick\nrun: {serving: {target: kubernetes}}\n")
    assert_refused(emotion_ai("run", *options, cwd=folder), 2, words)
    assert not list(folder.iterdir())


def test_describe_without_a_cluster_is_one_sentence(registry: str) -> None:
    for options in (("--target", "kubernetes"), ("--environment", "cluster")):
        result = emotion_ai("describe", "--registry", registry, *options)
        assert_refused(result, 2, "no cluster", "set KUBECONFIG")
    assert_refused(emotion_ai("describe", "--namespace", "x"), 2, "only for target kubernetes")


def test_rollout_prints_the_record_of_a_failure_as_json(registry: str) -> None:
    arguments = ("rollout", "9", "--registry", registry, "--target", "kubernetes", "--json")
    result = emotion_ai(*arguments)
    assert_refused(result, 2, "no cluster")
    record = json.loads(result.stdout)
    assert record.pop("seconds") >= 0
    assert record == {
        "target": "kubernetes",
        "version": 9,
        "outcome": "failed",
        "reasons": [result.stderr.strip().removeprefix("emotion-ai: ")],
    }


def test_sigterm_ends_a_rollout_as_ctrl_c_does() -> None:
    code = """
import time
from emotion_ai.rollouts.interruption import exit_on_sigterm
with exit_on_sigterm():
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "cleaned up\n"
    assert process.returncode == 143
