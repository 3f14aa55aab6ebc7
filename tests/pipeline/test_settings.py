"""Settings: who beats whom, and what is refused."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import load_run_settings


def test_a_flag_beats_the_preset_and_the_preset_beats_the_environment(tmp_path: Path) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text(
        "preset: quick\n"
        "run: {seed: 7, label_set: course5, training: {expression: {epochs: 99, dropout: 0.4}}}\n"
    )
    preset = tmp_path / "preset.yaml"
    preset.write_text("training: {expression: {epochs: 5}}\nseed: 8\n")
    below = load_run_settings(str(environment))
    assert (below.seed, below.label_set, below.training.expression.epochs) == (7, "course5", 12)
    middle = load_run_settings(str(environment), str(preset))
    assert (middle.seed, middle.training.expression.epochs) == (8, 5)
    assert middle.training.expression.dropout == 0.4
    above = load_run_settings(str(environment), str(preset), {"seed": 9})
    assert above.seed == 9


@pytest.mark.parametrize("environment", ["local", "cluster"])
@pytest.mark.parametrize("preset", ["sample", "quick", "standard"])
def test_every_shipped_environment_and_preset_is_in_order(environment: str, preset: str) -> None:
    assert load_run_settings(environment, preset).training.expression.epochs > 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("run: {sed: 7}", "run.sed is unknown"),
        ("run: {gate: {expression: {accuracy: 1.5}}}", "run.gate.expression.accuracy = 1.5"),
        ("run: {gate: {expression: {recall: {angst: 0.5}}}}", "angst"),
        ("run: {training: {keypoints: {epochs: 0}}}", "run.training.keypoints.epochs = 0"),
        ("run: {checks: {duplicates: -1}}", "run.checks.duplicates = -1"),
        ("compiler: {}", "compiler is unknown"),
        ("compile: {retries: many}", "compile.retries = 'many'"),
        ("[1, 2]", "expected keys and values"),
        ("a: b: c", "not YAML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as failure:
        load_run_settings(str(path))
    assert named in str(failure.value)


def test_an_unknown_environment_names_those_there_are() -> None:
    with pytest.raises(InputError, match="expected one of cluster, local"):
        load_run_settings("moon")
