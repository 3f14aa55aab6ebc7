"""What `models.config`, a ModelServerConfig of TensorFlow Serving, asks a server to hold."""

import re
from typing import Any, NamedTuple

from components import storage
from components.errors import BadInput
from components.registry.champion import CONFIG_NAME, read_config

_NUMBER = re.compile(r"[0-9]{1,18}")


class ModelPlan(NamedTuple):
    """A model's name, where its version directories lie, which to hold, and names for some."""

    name: str
    base_path: str
    versions: tuple[int, ...]
    labels: dict[str, int]


def read_plans(registry: str) -> list[ModelPlan] | None:
    """The plans of `<registry>/models.config`, or None where there is no such file.

    Raises `BadInput` for a file that cannot be understood and `Unavailable` where the registry
    cannot be read.
    """
    config = read_config(registry)
    try:
        return None if config is None else plans_of(config)
    except BadInput as error:
        raise BadInput(f"{storage.join(registry, CONFIG_NAME)}: {error}") from None


def plans_of(config: Any) -> list[ModelPlan]:
    """The plans of a `ModelServerConfig` message; raises `BadInput` for what cannot be served."""
    if config.WhichOneof("config") != "model_config_list":
        raise BadInput("expected a model_config_list")
    plans = [_plan(model) for model in config.model_config_list.config]
    names = [plan.name for plan in plans]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"model {name!r} is configured twice")
    return plans


def _plan(model: Any) -> ModelPlan:
    if not model.name:
        raise BadInput("a model without a name")
    if model.model_platform not in ("", "tensorflow"):
        raise BadInput(f"model {model.name!r}: platform {model.model_platform!r} is not tensorflow")
    base_path = model.base_path
    if not storage.is_remote(base_path) and not storage.local_path(base_path).is_absolute():
        raise BadInput(f"model {model.name!r}: base_path {base_path!r} is not absolute")
    return ModelPlan(model.name, base_path, _versions(model), dict(model.version_labels))


def _versions(model: Any) -> tuple[int, ...]:
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "specific":
        return tuple(policy.specific.versions)
    names = storage.list_names(model.base_path)
    there = sorted(int(name) for name in names if _NUMBER.fullmatch(name))
    if policy.WhichOneof("policy_choice") == "all":
        return tuple(there)
    return tuple(there[-(policy.latest.num_versions or 1) :])
