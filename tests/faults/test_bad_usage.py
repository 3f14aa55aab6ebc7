"""Mistakes in commands and settings: one message, exit code 2, nothing written."""

import socket
from pathlib import Path

import pytest
from PIL import Image

from support.command_line import assert_refused, emotion_ai


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
def test_run_checks_its_sources_before_it_starts(
    tmp_path: Path, cloud_storage: str, source: str, words: tuple[str, ...]
) -> None:
    sources = ("--keypoints", "sample://20", "--expression", source)
    assert_refused(emotion_ai("run", *sources, cwd=tmp_path), 2, *words)
    # No server's log and no run's record.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("registry", ["file/registry", "gs://no-such-bucket/registry"])
def test_run_checks_its_registry_before_it_starts(
    tmp_path: Path, cloud_storage: str, registry: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    sources = ("--keypoints", "sample://20", "--expression", "sample://20")
    words = registry.removesuffix("/registry")
    assert_refused(emotion_ai("run", *sources, "--registry", registry, cwd=tmp_path), 2, words)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("run: {chekcs: {}}", ("run.chekcs is unknown", "checks")),
        ("run: {checks: {duplicates: 1.5}}", ("run.checks.duplicates = 1.5", "expected at most 1")),
        ("run: {gate: {expression: {accuracy: .nan}}}", ("accuracy = nan",)),
        ("run: {serving: {target: moon}, seed: -1}", ("run.seed = -1",)),
        ("run: [\n  a: {\n", ("test.yaml, line 3", "not YAML")),
        ("run: {seed: !!bool x}", ("test.yaml: not YAML",)),
        ("a: &a [x]\nb: [*a, *a]\n", ("test.yaml, line 2", "alias")),
        ("run: " + "[" * 5000, ("test.yaml: nested too deeply",)),
        ("# " + "x" * 70_000, ("test.yaml: larger than 65536 bytes",)),
        ("", ("test.yaml: expected keys and values",)),
        ("run:\n  ? |\n    two\n    lines\n  : 1\n", ("setting run.two lines is unknown",)),
    ],
)
def test_compile_names_bad_settings(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    (tmp_path / "test.yaml").write_text(text)
    result = emotion_ai("compile", "--environment", "test.yaml", cwd=tmp_path)
    assert_refused(result, 2, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["test.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("compile -o pipeline.txt", ("pipeline.txt", ".yaml")),
        ("compile -o file/pipeline.yaml", ("file", "exists")),
        ("compile -o /proc/pipeline.yaml", ("/proc/pipeline.yaml: no file can be made there",)),
        ("describe --run=", ("--run: is empty",)),
        ("describe --source=", ("--source: is empty",)),
        ("describe --registry=", ("--registry: is empty",)),
        ("rollout 1 --registry=", ("--registry: is empty",)),
        ("describe --run 1 --source 2", ("--run and --source: describe one of them",)),
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
def test_commands_name_bad_arguments(
    tmp_path: Path, arguments: str, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").write_text("neither a folder nor a picture")
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    Image.new("L", (1, 1)).save(tmp_path / "tiny.png")
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    before = sorted(tmp_path.rglob("*"))
    assert_refused(emotion_ai(*arguments.split(), cwd=tmp_path), 2, *words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--preset"),
        ("compile", "--environment"),
        ("rollout", "1", "--target"),
        ("rollout", "1", "--server"),
        ("describe", "--namespace"),
        ("predict", "face.png", "--server"),
        ("predict", "face.png", "--registry"),
        ("watch", "video.mp4", "--release"),
        ("console", "--server"),
    ],
    ids=" ".join,
)
def test_an_option_that_an_unset_variable_made_empty_is_refused(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    result = emotion_ai(*command, "", cwd=tmp_path)
    assert_refused(result, 2, f"{command[-1]}: is empty; give it a value, or leave it out")
    assert not [*tmp_path.iterdir()]


def test_busy_port_and_silent_server_exit_with_1_and_the_address(tmp_path: Path) -> None:
    Image.new("L", (96, 96)).save(tmp_path / "face.png")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        result = emotion_ai("serve", "--registry", str(tmp_path), "--port", port)
        assert_refused(result, 1, f"127.0.0.1:{port}", "in use", "--port")
        address = f"127.0.0.1:{port}"
        result = emotion_ai(
            *("predict", str(tmp_path / "face.png"), "--faces", "whole"),
            *("--server", address, "--timeout", "1"),
        )
        assert_refused(result, 1, address, "no answer within 1 s")
