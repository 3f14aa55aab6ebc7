"""The options that say where a registry is served, shared by `rollout` and `describe`."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from emotion_ai.errors import InputError
from emotion_ai.pipeline.cli.options import ENVIRONMENT_NAMES, refuse_empty

if TYPE_CHECKING:
    from emotion_ai.pipeline.settings import RunSettings

Environment = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help=f"{ENVIRONMENT_NAMES}, or a YAML file: has what no other option says.",
    ),
]
EnvironmentRegistry = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="Folder or gs:// URI of the releases; default: the environment's.",
    ),
]
Target = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="local: one server that follows the registry; kubernetes: the cluster of the "
        "kubeconfig; default: the environment's.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        callback=refuse_empty,
        help="Namespace of the servers on target kubernetes; default: emotion-ai.",
    ),
]


class Flags(NamedTuple):
    """What the command line says; "" and None for what it leaves to the environment.

    Attributes:
        registry: A local folder or a gs:// URI.
        target: local or kubernetes.
        server: HOST:PORT, for target local.
        namespace: For target kubernetes.
        bake_s: How long the canary answers callers, for target kubernetes.
        tls: Entries of `rollouts.settings.TlsFiles`, for target kubernetes.
    """

    registry: str = ""
    target: str = ""
    server: str = ""
    namespace: str = ""
    bake_s: float | None = None
    tls: Mapping[str, Path | str | None] = MappingProxyType({})


def load_installation(environment: str, flags: Flags) -> "RunSettings":
    """Merge an environment and flags; `registry` and `serving` of the settings are of use.

    Raises:
        InputError: A name or a value is invalid, or a flag is for the other target.
    """
    from emotion_ai.pipeline.settings import load_run_settings

    defaults = load_run_settings(environment).serving
    target = flags.target or defaults.target
    rollout = _rollout_flags(flags, defaults.rollout.canary.max_bake_s)
    if target == "local" and rollout:
        options = {"namespace": "--namespace", "canary": "--bake", "tls": "--tls-..."}
        names = ", ".join(options[name] for name in rollout)
        raise InputError(f"{names}: only for target kubernetes; add --target kubernetes")
    if target == "kubernetes" and flags.server:
        raise InputError(
            "--server is for target local; on target kubernetes every server is found by itself"
        )
    serving: dict[str, Any] = {"target": target, "rollout": rollout}
    if flags.server:
        serving["server"] = flags.server
    registry = {"registry": flags.registry} if flags.registry else {}
    return load_run_settings(environment, "", {**registry, "serving": serving})


def _rollout_flags(flags: Flags, max_bake_s: float) -> dict[str, Any]:
    """Return the flags as settings of a rollout."""
    settings: dict[str, Any] = {}
    if flags.namespace:
        settings["namespace"] = flags.namespace
    if flags.bake_s is not None:
        bake = {"bake_s": flags.bake_s, "max_bake_s": max(flags.bake_s, max_bake_s)}
        settings["canary"] = bake
    tls = {name: str(value) for name, value in flags.tls.items() if value}
    return settings | ({"tls": tls} if tls else {})
