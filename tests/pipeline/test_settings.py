"""Settings: precedence and validation."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.choices import ENVIRONMENTS, PRESETS, list_settings_files
from emotion_ai.pipeline.settings import describe_overridden, load_run_settings

from support.command_line import emotion_ai


def test_load_run_settings_lets_flags_override_presets_override_environments(
    tmp_path: Path,
) -> None:
    environment = tmp_path / "environment.yaml"
    environment.write_text(
        "preset: quick\n"
        "run: {seed: 7, label_set: course5, training: {expression: {epochs: 99, dropout: 0.4}}}\n"
    )
    preset = tmp_path / "preset.yaml"
    preset.write_text("training: {expression: {epochs: 5}}\nseed: 8\n")
    from_environment = load_run_settings(str(environment))
    assert from_environment.seed == 7
    assert from_environment.label_set == "course5"
    assert from_environment.training.expression.epochs == 12
    from_preset = load_run_settings(str(environment), str(preset))
    assert (from_preset.seed, from_preset.training.expression.epochs) == (8, 5)
    assert from_preset.training.expression.dropout == 0.4
    from_flag = load_run_settings(str(environment), str(preset), {"seed": 9})
    assert from_flag.seed == 9


@pytest.mark.parametrize("environment", list_settings_files(ENVIRONMENTS))
@pytest.mark.parametrize("preset", list_settings_files(PRESETS))
def test_load_run_settings_accepts_every_shipped_environment_and_preset(
    environment: str, preset: str
) -> None:
    settings = load_run_settings(environment, preset)
    assert settings.training.expression.epochs > 1 or settings.init == "pretrained"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: {sed: 7}", "run.sed is unknown"),
        ("run: {gate: {expression: {accuracy: 1.5}}}", "run.gate.expression.accuracy = 1.5"),
        ("run: {gate: {expression: {recall: {angst: 0.5}}}}", "angst"),
        ("run: {training: {keypoints: {epochs: -1}}}", "run.training.keypoints.epochs = -1"),
        ("run: {checks: {duplicates: -1}}", "run.checks.duplicates = -1"),
        ("compiler: {}", "compiler is unknown"),
        ("compile: {retries: many}", "compile.retries = 'many'"),
        ("[1, 2]", "expected keys and values"),
        ("a: b: c", "not YAML"),
    ],
)
def test_load_run_settings_names_the_invalid_setting(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "invalid.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as failure:
        load_run_settings(str(path))
    assert message in str(failure.value)


def test_load_run_settings_lists_the_environments_for_an_unknown_one() -> None:
    with pytest.raises(InputError, match="expected one of cluster, local"):
        load_run_settings("moon")


@pytest.mark.parametrize(
    ("text", "key", "lines"),
    [
        ("run:\n  seed: 1\n  init: scratch\n  seed: 2\n", "'seed'", (4, 2)),
        ("run: {seed: 1}\npreset: quick\nrun: {seed: 2}\n", "'run'", (3, 1)),
        ("run:\n  seed: 1\n  'seed': 1\n", "'seed'", (3, 2)),
        ("preset: quick\n0x10: a\n16: b\n", "16", (3, 2)),
        ("compile:\n  cluster:\n    steps:\n      push: {}\n      push: {}\n", "'push'", (5, 4)),
        (
            "run:\n  gate: {<<: {champion: {}},\n    champion: {},\n  champion: {}}",
            "'champion'",
            (4, 3),
        ),
    ],
)
def test_a_key_that_is_given_twice_is_refused_with_both_lines(
    tmp_path: Path, text: str, key: str, lines: tuple[int, int]
) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    second, first = lines
    sentence = f"{path}, line {second}: the key {key} is there already in line {first}; leave one"
    for settings in ({"environment": str(path)}, {"environment": "local", "preset": str(path)}):
        with pytest.raises(InputError) as failure:
            load_run_settings(**settings)
        assert str(failure.value).startswith(sentence)


def test_a_key_beside_the_same_key_of_a_merged_mapping_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("run:\n  <<: {seed: 1, init: pretrained}\n  seed: 2\n")
    settings = load_run_settings(str(path))
    assert (settings.seed, settings.init) == (2, "pretrained")


def test_what_a_preset_takes_from_an_environment_is_told(tmp_path: Path) -> None:
    environment = tmp_path / "mine.yaml"
    environment.write_text(
        "preset: quick\n"
        "run: {seed: 3, training: {expression: {epochs: 90, patience: 6}}, "
        "gate: {expression: {accuracy: 0.7}}}\n"
    )
    sentences = describe_overridden(str(environment))
    assert sorted(sentences) == [
        f"setting run.gate.expression.accuracy of environment {environment} has no effect: preset "
        "quick has 0.55",
        f"setting run.training.expression.epochs of environment {environment} has no effect: "
        "preset quick has 12",
    ]
    result = emotion_ai("compile", "--environment", environment.name, cwd=tmp_path)
    assert result.returncode == 0
    assert all(sentence.replace(f"{tmp_path}/", "") in result.stderr for sentence in sentences)
    (tmp_path / "other.yaml").write_text("training: {keypoints: {epochs: 2}}")
    assert describe_overridden(str(environment), str(tmp_path / "other.yaml")) == []


@pytest.mark.parametrize("environment", ["local", "cluster"])
def test_the_environments_of_this_package_lose_nothing_to_presets(environment: str) -> None:
    for preset in list_settings_files(PRESETS):
        assert describe_overridden(environment, preset) == []


def test_settings_that_do_not_go_together_are_refused() -> None:
    mixing = {"training": {"keypoints": {"cutmix": 0.5}}}
    with pytest.raises(InputError, match=r"run\.training\.keypoints\.cutmix = 0\.5: keypoints can"):
        load_run_settings("local", flags=mixing)
    for setting in ("epochs", "distillation"):
        untaught = {"training": {"expression": {setting: 0}}, "teachers": "1, champion"}
        with pytest.raises(InputError, match=rf"{setting} = 0: the teachers 1, champion would te"):
            load_run_settings("local", flags=untaught)
