"""Mistakes at the command line and in settings: one message, exit code 2, nothing written."""

import socket
from pathlib import Path

import pytest
from PIL import Image

from support.command_line import emotion_ai, refused


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("absent.csv", ("/absent.csv: no such file",)),
        ("absent/", ("/absent: no such file",)),
        ("s3://faces/fer2013.csv", ("s3://", "gs://")),
        ("gs://no-such-bucket/faces.csv", ("gs://no-such-bucket: no such bucket",)),
        ("sample://12", ("12 sample faces", "20")),
    ],
)
def test_a_run_looks_for_its_sources_before_it_starts_anything(
    tmp_path: Path, cloud_storage: str, source: str, words: tuple[str, ...]
) -> None:
    sources = ("--keypoints", "sample://20", "--expression", source)
    refused(emotion_ai("run", *sources, cwd=tmp_path), 2, *words)
    # Neither a server's log nor a run's record.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("registry", ["file/registry", "gs://no-such-bucket/registry"])
def test_a_run_looks_for_its_registry_before_it_starts_anything(
    tmp_path: Path, cloud_storage: str, registry: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    sources = ("--keypoints", "sample://20", "--expression", "sample://20")
    words = registry.removesuffix("/registry")
    refused(emotion_ai("run", *sources, "--registry", registry, cwd=tmp_path), 2, words)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run: {chekcs: {}}", ("run.chekcs is unknown", "checks")),
        ("run: {checks: {duplicates: 1.5}}", ("run.checks.duplicates = 1.5", "equal to 1")),
        ("run: {gate: {expression: {accuracy: .nan}}}", ("accuracy = nan",)),
        ("run: {serving: {target: moon}, seed: -1}", ("run.seed = -1",)),
        ("run: [\n  a: {\n", ("mine.yaml, line 3", "not YAML")),
        ("run: {seed: !!bool x}", ("mine.yaml: not YAML",)),
        ("a: &a [x]\nb: [*a, *a]\n", ("mine.yaml, line 2", "alias")),
        ("run: " + "[" * 5000, ("mine.yaml: nested too deeply",)),
        ("# " + "x" * 70_000, ("mine.yaml: larger than 65536 bytes",)),
        ("", ("mine.yaml: expected keys and values",)),
        ("run:\n  ? |\n    two\n    lines\n  : 1\n", ("setting run.two lines is unknown",)),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    result = emotion_ai("compile", "--environment", "mine.yaml", cwd=tmp_path)
    refused(result, 2, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("compile -o pipeline.txt", ("pipeline.txt", ".yaml")),
        ("compile -o file/pipeline.yaml", ("file", "exists")),
        ("sample-data file/sample", ("file/sample",)),
        ("describe --registry file", ("file", "Not a directory")),
        ("describe --registry s3://models", ("s3://models", "gs://")),
        ("rollout 1 --registry file", ("file", "Not a directory")),
        ("serve --registry file --port 0", ("file", "Not a directory")),
        ("serve --registry s3://models --port 0", ("s3://models", "gs://")),
        ("predict file", ("file", "not a picture", "PNG")),
        ("predict absent.png", ("absent.png", "No such file")),
        ("predict tiny.png", ("tiny.png", "1x1", "16")),
        ("predict huge.png", ("huge.png", "too large")),
        ("predict face.png --server nowhere", ("'nowhere'", "HOST:PORT")),
    ],
)
def test_a_mistake_at_the_command_line_is_named(
    tmp_path: Path, arguments: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("neither a folder nor a picture")
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    Image.new("L", (1, 1)).save(tmp_path / "tiny.png")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    before = sorted(tmp_path.rglob("*"))
    refused(emotion_ai(*arguments.split(), cwd=tmp_path), 2, *words)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_port_in_use_and_a_silent_server_end_with_1_and_the_address(tmp_path: Path) -> None:
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        serving = emotion_ai("serve", "--registry", str(tmp_path), "--port", port)
        refused(serving, 1, f"127.0.0.1:{port}", "in use", "--port")
        address = f"127.0.0.1:{port}"
        asked = emotion_ai(
            *("predict", str(tmp_path / "face.png"), "--faces", "whole"),
            *("--server", address, "--timeout", "1"),
        )
        refused(asked, 1, address, "no answer within 1 s")
