"""The champion: the version named in `<registry>/models.config`, which the servers poll.

The file is TensorFlow Serving's own model_config_file, protobuf text of
`tensorflow.serving.ModelServerConfig` with one model and one specific version
(https://www.tensorflow.org/tfx/serving/serving_config#model_server_configuration).
"""

from typing import Any

from google.protobuf import text_format

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.serving_api.messages import MODEL_NAME, ModelServerConfig

CONFIG_NAME = "models.config"
_MAX_BYTES = 64 << 10


class ChampionReplaced(Unavailable):
    """`models.config` is not what it was when it was looked at."""


def read_config(registry: str) -> Any | None:
    """Parse `<registry>/models.config`.

    Args:
        registry: A local folder or a gs:// URI.

    Returns:
        A `ModelServerConfig` message, or None if there is no such file.

    Raises:
        InputError: The file is not such a message.
        Unavailable: The storage failed.
    """
    uri = storage.join(registry, CONFIG_NAME)
    try:
        text = storage.read_bytes(uri, _MAX_BYTES)
        return text_format.Parse(text.decode(), ModelServerConfig())
    except storage.NotFound:
        return None
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{uri}: not a TensorFlow Serving model configuration: {error}") from None


def read_champion(registry: str) -> int | None:
    """Read the champion's version.

    Args:
        registry: A local folder or a gs:// URI.

    Returns:
        The version, or None before the first rollout, or while `models.config` names no model.

    Raises:
        InputError: `models.config` is invalid or does not name exactly one version of the model.
        Unavailable: The storage failed.
    """
    config = read_config(registry)
    if config is None:
        return None
    if config.WhichOneof("config") and not config.model_config_list.config:
        return None
    uri = storage.join(registry, CONFIG_NAME)
    models = [model for model in config.model_config_list.config if model.name == MODEL_NAME]
    versions = [v for model in models for v in model.model_version_policy.specific.versions]
    if len(versions) != 1:
        raise InputError(
            f"{uri}: names {len(versions)} versions of {MODEL_NAME}; expected one, under "
            "model_version_policy { specific { versions: N } }"
        )
    if versions[0] < 1:
        raise InputError(f"{uri}: names version {versions[0]}; expected a release, 1 or more")
    return int(versions[0])


def champion_generation(registry: str) -> int | None:
    """Return the generation of `models.config` in Cloud Storage, 0 if there is none.

    A file on a disk has none (None): there, nobody else writes while the registry's lock is held.
    """
    if not storage.is_remote(registry):
        return None
    from emotion_ai.storage import gcs

    try:
        return gcs.read_generation(storage.join(registry, CONFIG_NAME))[1]
    except storage.NotFound:
        return 0


def write_champion(registry: str, version: int, generation: int | None = None) -> None:
    """Make a version the champion, in one atomic write.

    Args:
        registry: A local folder or a gs:// URI.
        version: The version that the servers are to load; rollout verifies that it answers.
        generation: Replace this generation alone, see `champion_generation`; None for any.

    Raises:
        ChampionReplaced: `models.config` has another generation.
        Unavailable: The registry cannot be written.
    """
    # TensorFlow Serving may run in another working directory.
    base_path = (
        registry if storage.is_remote(registry) else str(storage.local_path(registry).resolve())
    )
    uri = storage.join(registry, CONFIG_NAME)
    if generation is None:
        write_config(uri, base_path, version)
        return
    from emotion_ai.storage import gcs

    try:
        gcs.put(uri, _config_text(base_path, version), generation)
    except gcs.AlreadyExists:
        raise ChampionReplaced(f"{uri}: was written by another rollout meanwhile") from None


def write_config(uri: str, base_path: str, version: int) -> None:
    """Write a configuration that serves one version of the model, in one atomic write.

    Args:
        uri: The file, for `--model_config_file`.
        base_path: Absolute path or URI of the folder with a subfolder for each version.
        version: The version that is served.

    Raises:
        Unavailable: The file cannot be written.
    """
    storage.write_bytes(uri, _config_text(base_path, version), storage.SHARED)


def _config_text(base_path: str, version: int) -> bytes:
    config = ModelServerConfig()
    model = config.model_config_list.config.add(
        name=MODEL_NAME, base_path=base_path, model_platform="tensorflow"
    )
    model.model_version_policy.specific.versions.append(version)
    return bytes(text_format.MessageToString(config).encode())


def write_no_champion(registry: str) -> None:
    """Let `models.config` name no model: servers unload what they have, and keep it without a file.

    Raises:
        Unavailable: The registry cannot be written.
    """
    config = ModelServerConfig()
    config.model_config_list.SetInParent()
    text = text_format.MessageToString(config)
    storage.write_bytes(storage.join(registry, CONFIG_NAME), text.encode(), storage.SHARED)


def clear_champion(registry: str) -> None:
    """Remove `models.config`, as before the first rollout."""
    storage.remove(storage.join(registry, CONFIG_NAME))
