"""What a ModelServerConfig of TensorFlow Serving asks a server to hold."""

import re
from typing import Any, NamedTuple

from google.protobuf import text_format

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import CONFIG_NAME, read_config
from emotion_ai.server.flags import ServerFlags
from emotion_ai.serving_api.messages import ModelServerConfig

_NUMBER = re.compile(r"[0-9]{1,18}")
_MAX_BYTES = 64 << 10


class ModelPlan(NamedTuple):
    """A model's name, where its version directories lie, which to hold, and names for some."""

    name: str
    base_path: str
    versions: tuple[int, ...]
    labels: dict[str, int]


class ConfigSource:
    """Where the configuration comes from: the registry, a file of its own, or the flags."""

    def __init__(self, flags: ServerFlags) -> None:
        self._flags = flags
        if flags.registry:
            self.address = storage.join(flags.registry, CONFIG_NAME)
        else:
            self.address = flags.model_config_file or flags.model_base_path

    def read(self) -> Any | None:
        """The `ModelServerConfig` as it is now; None where the registry has none (yet).

        Raises `InputError` for a file that cannot be understood or, but for the registry's, is
        absent, and `Unavailable` where the storage fails.
        """
        if self._flags.registry:
            return read_config(self._flags.registry)
        if not self._flags.model_config_file:
            return _one_model(self._flags.model_name, self._flags.model_base_path)
        text = storage.read_bytes(self.address, _MAX_BYTES)
        try:
            return text_format.Parse(text.decode(), ModelServerConfig())
        except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{self.address}: not a ModelServerConfig: {error}") from None


def _one_model(name: str, base_path: str) -> Any:
    config = ModelServerConfig()
    model = config.model_config_list.config.add(name=name, model_platform="tensorflow")
    local = not storage.is_remote(base_path)
    model.base_path = str(storage.local_path(base_path).resolve()) if local else base_path
    return config


def read_plans(registry: str) -> list[ModelPlan] | None:
    """The plans of `<registry>/models.config`, or None where there is no such file.

    Raises `InputError` for a file that cannot be understood and `Unavailable` where the registry
    cannot be read.
    """
    source = ConfigSource(ServerFlags(registry=registry))
    config = source.read()
    try:
        return None if config is None else plans_of(config)
    except InputError as error:
        raise InputError(f"{source.address}: {error}") from None


def plans_of(config: Any) -> list[ModelPlan]:
    """The plans of a `ModelServerConfig` message; raises `InputError` for what cannot be served.

    The messages are those of tensorflow_serving/model_servers/server_core.cc.
    """
    check_models(config)
    return [_plan(model) for model in config.model_config_list.config]


def check_models(config: Any) -> None:
    """Raise `InputError` for models that cannot be served, before a folder is looked into."""
    if config.WhichOneof("config") != "model_config_list":
        raise InputError("expected a model_config_list")
    names = [model.name for model in config.model_config_list.config]
    for model in config.model_config_list.config:
        if names.count(model.name) > 1:
            raise InputError(f"Illegal to list model {model.name} multiple times in config list")
        _check_model(model)


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


def _plan(model: Any) -> ModelPlan:
    return ModelPlan(model.name, model.base_path, _versions(model), dict(model.version_labels))


def _versions(model: Any) -> tuple[int, ...]:
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "specific":
        return tuple(policy.specific.versions)
    # A folder that went, or a storage that is down, is no order to drop everything.
    if not storage.is_folder(model.base_path):
        raise Unavailable(f"Could not find base path {model.base_path} for servable {model.name}")
    names = storage.list_names(model.base_path)
    there = sorted(int(name) for name in names if _NUMBER.fullmatch(name))
    if policy.WhichOneof("policy_choice") == "all":
        return tuple(there)
    return tuple(there[-(policy.latest.num_versions or 1) :])
