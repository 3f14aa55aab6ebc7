"""Invalid settings are rejected before anything runs or is written; each test is a process."""

from pathlib import Path

import pytest

from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.pipeline.choices import INITIAL_WEIGHTS

from support.command_line import assert_refused, emotion_ai

PIPELINE = Path(__file__).parents[2] / "pipeline"
PRESETS = sorted(path.stem for path in (PIPELINE / "presets").glob("*.yaml"))
ENVIRONMENTS = sorted(path.stem for path in (PIPELINE / "environments").glob("*.yaml"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--label-set", "nope"), ["label_set", "'nope'", *LABEL_SETS]),
        (("--preset", "nope"), ["preset", "'nope'", *PRESETS]),
        (("--init", "nope"), ["init", "'nope'", *INITIAL_WEIGHTS]),
        (("--emotions", "happy,nope"), ["emotions", "'nope'", *LABEL_SETS["fer7"]]),
        (("--environment", "nope"), ["environment", "'nope'", *ENVIRONMENTS]),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_run_rejects_an_invalid_flag(flags: tuple[str, str], words: list[str], tmp_path: Path):
    assert_refused(emotion_ai("run", *flags, cwd=tmp_path), 2, *words)
    assert not list(tmp_path.iterdir())


def test_run_rejects_drawn_faces_for_another_label_set(tmp_path: Path) -> None:
    result = emotion_ai("run", "--label-set", "course5", cwd=tmp_path)
    assert_refused(result, 2, "sample://", "fer7", "course5", "--expression")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["run", "compile"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("run: {label_set: nope}", ["run.label_set", "'nope'", *LABEL_SETS]),
        ("preset: nope", ["preset", "'nope'", *PRESETS]),
        ("run: {init: nope}", ["run.init", "'nope'", *INITIAL_WEIGHTS]),
        ("run: {emotions: 'happy,nope'}", ["emotions", "'nope'", *LABEL_SETS["fer7"]]),
        ("run: {sed: 7}", ["run.sed", "seed"]),
        (
            "compile: {resources: {train: {cpu: '1', memory: 1G}}}",
            ["compile.resources.train", "train-expression", "train-keypoints"],
        ),
        (
            "compile: {resources: {evaluate: {cpu: banana, memory: 1G}}}",
            ["compile.resources.evaluate.cpu", "'banana'"],
        ),
        (
            "compile: {resources: {evaluate: {cpu: 500m, memory: 1.5 bananas}}}",
            ["compile.resources.evaluate.memory", "'1.5 bananas'"],
        ),
        ("run: {serving: {target: nope}}", ["run.serving.target", "local or kubernetes"]),
        (
            "compile: {resources: {evaluate: {cpus: '1', memory: 1G}}}",
            ["compile.resources.evaluate.cpus", "cpu, cpu_limit, memory"],
        ),
        ("compile: {retry: 7}", ["compile.retry", "image, resources, retries"]),
        ('compile: {image: ""}', ["compile.image"]),
        ("compile: {image: 'https://registry.example.com/emotion-ai'}", ["compile.image"]),
        ("compile: {image: 'registry.example.com/Emotion AI:latest'}", ["compile.image"]),
        (
            "compile: {cluster: {registry_volume: {claim: c, path: /usr/lib}}}",
            ["registry_volume.path", "/usr is used"],
        ),
        (
            "compile: {cluster: {registry_volume: {claim: c, path: /a}, "
            "registry_secret: {name: s, path: /a/b}}}",
            ["compile.cluster", "/a and registry_secret.path /a/b lie within each other"],
        ),
        (
            "compile: {cluster: {tolerations: [{key: a, seconds: 3}]}}",
            ["compile.cluster.tolerations.0.seconds", "key, operator, value"],
        ),
    ],
)
def test_an_invalid_environment_file_is_rejected(
    command: str, content: str, words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "environment.yaml"
    path.write_text(content)
    result = emotion_ai(command, "--environment", path.name, cwd=tmp_path)
    assert_refused(result, 2, *words)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", ["run", "compile"])
def test_an_invalid_preset_file_is_rejected(command: str, tmp_path: Path) -> None:
    path = tmp_path / "preset.yaml"
    path.write_text("label_set: nope")
    result = emotion_ai(command, "--preset", path.name, cwd=tmp_path)
    assert_refused(result, 2, "preset.yaml: setting label_set", "'nope'", *LABEL_SETS)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        ("run", [*PRESETS, "local", *LABEL_SETS, *INITIAL_WEIGHTS]),
        ("compile", [*PRESETS, *ENVIRONMENTS]),
    ],
)
def test_help_lists_the_choices(command: str, choices: list[str]) -> None:
    text = emotion_ai(command, "--help").stdout
    for choice in choices:
        assert choice in text
