"""Tests of `registry.champion`: models.config as TensorFlow Serving reads it."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.champion import (
    CONFIG_NAME,
    MODEL_NAME,
    ChampionReplaced,
    champion_generation,
    clear_champion,
    read_champion,
    read_config,
    write_champion,
    write_no_champion,
)


def test_read_champion_returns_the_last_version_written(registry: str) -> None:
    assert read_champion(registry) is None
    write_champion(registry, 3)
    write_champion(registry, 1)
    assert read_champion(registry) == 1
    clear_champion(registry)
    clear_champion(registry)
    assert read_champion(registry) is None


def test_write_champion_writes_a_tensorflow_serving_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    monkeypatch.chdir(tmp_path)
    write_champion("registry", 12)
    text = (tmp_path / "registry" / CONFIG_NAME).read_text()
    (model,) = text_format.Parse(text, ModelServerConfig()).model_config_list.config
    assert model.name == MODEL_NAME == "emotion_ai"
    assert model.base_path == str(tmp_path / "registry")
    assert model.model_platform == "tensorflow"
    assert list(model.model_version_policy.specific.versions) == [12]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not protobuf", "not a TensorFlow Serving model configuration"),
        ("", "names 0 versions"),
        ('model_config_list { config { name: "emotion_ai" } }', "names 0 versions"),
        (
            'model_config_list { config { name: "emotion_ai" model_version_policy '
            "{ specific { versions: 1 versions: 2 } } } }",
            "names 2 versions",
        ),
        (b"\xff\xfe", "not a TensorFlow Serving model configuration"),
    ],
)
def test_read_champion_rejects_files_without_a_single_version(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    storage.write_bytes(str(tmp_path / CONFIG_NAME), data)
    with pytest.raises(InputError, match=f"{CONFIG_NAME}: {message}"):
        read_champion(str(tmp_path))


def test_a_champion_that_was_replaced_meanwhile_is_not_replaced_again(
    cloud_storage: str, tmp_path: Path
) -> None:
    registry = storage.join(cloud_storage, tmp_path.name)
    assert champion_generation(registry) == 0
    write_champion(registry, 6, 0)
    seen = champion_generation(registry)
    write_champion(registry, 8, seen)
    for generation in (0, seen):
        with pytest.raises(ChampionReplaced, match="written by another rollout"):
            write_champion(registry, 7, generation)
    assert read_champion(registry) == 8
    # A file on a disk has no generation: the registry's lock is enough.
    assert champion_generation(str(tmp_path)) is None


def test_no_champion_is_a_configuration_without_models(registry: str) -> None:
    write_champion(registry, 3)
    write_no_champion(registry)
    assert read_champion(registry) is None
    config = read_config(registry)
    assert config.WhichOneof("config") == "model_config_list"
    assert len(config.model_config_list.config) == 0
