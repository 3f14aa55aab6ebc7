"""The models and versions to serve, from TensorFlow Serving's ModelServerConfig."""

import contextlib
import re
from typing import Any, NamedTuple

from google.protobuf import text_format

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import CONFIG_NAME, read_config
from emotion_ai.registry.releases import GRAPH_PATH
from emotion_ai.server.flags import ServerFlags
from emotion_ai.serving_api.messages import ModelServerConfig

_VERSION = re.compile(r"[0-9]{1,18}")
_MAX_CONFIG_BYTES = 64 << 10


class ModelPlan(NamedTuple):
    """The versions of one model that should be loaded.

    Attributes:
        name: The model's name in requests.
        base_path: Absolute path or URI of the folder with a subfolder for each version.
        versions: The versions to load.
        labels: Versions by label.
    """

    name: str
    base_path: str
    versions: tuple[int, ...]
    labels: dict[str, int]


class ConfigSource:
    """Reads the configuration from the registry, from a file, or from the flags.

    Attributes:
        address: Path or URI of what is read, for messages.
    """

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        if flags.registry:
            self.address = storage.join(flags.registry, CONFIG_NAME)
        else:
            self.address = flags.model_config_file or flags.model_base_path

    def read(self) -> Any | None:
        """Read the current `ModelServerConfig`; None if the registry has none (yet).

        Raises:
            InputError: The file cannot be parsed, or is missing where it is not the registry's.
            Unavailable: The storage cannot be read.
        """
        if self._flags.registry:
            return read_config(self._flags.registry)
        if not self._flags.model_config_file:
            return _single_model_config(self._flags.model_name, self._flags.model_base_path)
        text = storage.read_bytes(self.address, _MAX_CONFIG_BYTES)
        try:
            return text_format.Parse(text.decode(), ModelServerConfig())
        except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{self.address}: not a ModelServerConfig: {error}") from None


def _single_model_config(name: str, base_path: str) -> Any:
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=name, model_platform="tensorflow")
    storage.check_folder_address(base_path)
    local = not storage.is_remote(base_path)
    model.base_path = str(storage.local_path(base_path).resolve()) if local else base_path
    return config


def plan_models(config: Any) -> list[ModelPlan]:
    """Return which versions to load, from a `ModelServerConfig` and the models' folders.

    Raises:
        InputError: The configuration is invalid.
        Unavailable: A model's folder is missing or cannot be read.
    """
    check_models(config)
    return [
        ModelPlan(
            name=model.name,
            base_path=model.base_path,
            versions=_select_versions(model),
            labels=dict(model.version_labels),
        )
        for model in config.model_config_list.config
    ]


def check_models(config: Any) -> None:
    """Check a `ModelServerConfig` without looking into the models' folders.

    The messages are those of tensorflow_serving/model_servers/server_core.cc.

    Raises:
        InputError: The configuration is invalid.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise InputError("expected a model_config_list")
    names = [model.name for model in config.model_config_list.config]
    for model in config.model_config_list.config:
        if names.count(model.name) > 1:
            raise InputError(f"Illegal to list model {model.name} multiple times in config list")
        _check_model(model)


def check_base_paths(config: Any) -> None:
    """Check that no base path is a version itself.

    Raises:
        InputError: One is; the folder above it is meant.
    """
    for model in config.model_config_list.config:
        # A failing storage may recover.
        with contextlib.suppress(Unavailable):
            if storage.exists(storage.join(model.base_path, GRAPH_PATH)):
                raise InputError(
                    f"{model.base_path}: is a version of model {model.name} itself; name the "
                    "folder that holds it, and call it by a number, as models/1"
                )


def _check_model(model: Any) -> None:
    if not model.name:
        raise InputError("a model without a name")
    if not model.model_platform:
        raise InputError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform."
        )
    if model.model_platform != "tensorflow":
        raise InputError(f"Model {model.name} requests unsupported platform {model.model_platform}")
    base_path = model.base_path
    if not storage.is_remote(base_path) and not storage.local_path(base_path).is_absolute():
        raise InputError(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()="
            f"{base_path}"
        )


def _select_versions(model: Any) -> tuple[int, ...]:
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "specific":
        return tuple(policy.specific.versions)
    # A deleted folder or a failing storage must not unload every version.
    if not storage.is_folder(model.base_path):
        raise Unavailable(f"Could not find base path {model.base_path} for servable {model.name}")
    names = storage.list_names(model.base_path)
    found = sorted(int(name) for name in names if _VERSION.fullmatch(name))
    if policy.WhichOneof("policy_choice") == "all":
        return tuple(found)
    return tuple(found[-(policy.latest.num_versions or 1) :])
