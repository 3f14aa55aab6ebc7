"""The pipeline, its versions and its experiment at the API server: found, or made."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.server import (
    KfpServer,
    NameTaken,
    ask,
    list_all,
    named,
    require_id,
)

_DIGITS = 12


def version_name(package: Path) -> str:
    """Name a version by the content of the compiled pipeline: 12 digits of its SHA-256.

    Comments do not count: they say what is in the file, and with which program it was compiled.
    """
    lines = package.read_bytes().splitlines(keepends=True)
    content = b"".join(line for line in lines if not line.startswith(b"#"))
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def read_spec(package: Path) -> dict[str, Any]:
    """Return the compiled pipeline; what else is in the file says how pods are placed."""
    import yaml

    spec: dict[str, Any] = next(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    return spec


def fetch_spec(server: KfpServer, pipeline_id: str, version_id: str) -> dict[str, Any]:
    """Return the compiled pipeline of a version.

    Raises:
        InputError: It is none of KFP 2, such as a version that somebody uploaded years ago.
    """
    get = server.pipelines.pipeline_service_get_pipeline_version
    answer = ask(server, get, pipeline_id, version_id)
    envelope = getattr(answer, "pipeline_spec", None)
    spec = envelope.get("pipeline_spec", envelope) if isinstance(envelope, dict) else None
    if not isinstance(spec, dict) or not isinstance(spec.get("root"), dict):
        raise InputError(
            f"{server.address}: version {version_id} holds no pipeline of KFP 2; name a version "
            "that `emotion-ai publish` uploaded"
        )
    return spec


def find_pipeline(server: KfpServer, order: Order) -> str | None:
    """Return the pipeline's id, or None if there is none of this name in the namespace."""
    found = list_all(
        server,
        server.pipelines.pipeline_service_list_pipelines,
        "pipelines",
        filter=named(order.name),
        namespace=order.namespace,
    )
    # Nobody promises that other namespaces' pipelines are left out.
    if order.namespace:
        found = [row for row in found if row.namespace in (None, "", order.namespace)]
    return require_id(server, found[0], "pipeline_id") if found else None


def create_pipeline(server: KfpServer, order: Order) -> str:
    """Create the pipeline, still without a version, and return its id."""
    create = server.pipelines.pipeline_service_create_pipeline
    body = {"name": order.name, "display_name": order.name, "namespace": order.namespace}
    given = {key: value for key, value in body.items() if value}
    return _create(
        server,
        "pipeline_id",
        lambda: ask(server, create, given),
        lambda: find_pipeline(server, order),
    )


def _create(
    server: KfpServer, key: str, create: Callable[[], Any], find: Callable[[], str | None]
) -> str:
    """Create something and return its id, or that of what another call has created meanwhile."""
    try:
        answer = create()
    except NameTaken:
        if found := find():
            return found
        raise
    return require_id(server, answer, key)


def find_version(server: KfpServer, pipeline_id: str, version: str) -> str | None:
    """Return the id of a version of the pipeline, or None if there is none of this name."""
    found = list_all(
        server,
        server.pipelines.pipeline_service_list_pipeline_versions,
        "pipeline_versions",
        pipeline_id,
        filter=named(version),
    )
    return require_id(server, found[0], "pipeline_version_id") if found else None


def upload(server: KfpServer, package: Path, pipeline_id: str, version: str) -> str:
    """Upload a compiled pipeline as a version, and return the version's id."""
    send = server.uploads.upload_pipeline_version
    return _create(
        server,
        "pipeline_version_id",
        lambda: ask(server, send, str(package), name=version, pipelineid=pipeline_id),
        lambda: find_version(server, pipeline_id, version),
    )


def find_or_create_experiment(server: KfpServer, order: Order) -> str:
    """Return the id of the experiment that holds the runs.

    Raises:
        InputError: It is in the archive, where nobody would see the runs.
    """
    if experiment_id := _find_experiment(server, order):
        return experiment_id
    create = server.experiments.experiment_service_create_experiment
    body = {"display_name": order.name, "namespace": order.namespace}
    given = {key: value for key, value in body.items() if value}
    return _create(
        server,
        "experiment_id",
        lambda: ask(server, create, given),
        lambda: _find_experiment(server, order),
    )


def _find_experiment(server: KfpServer, order: Order) -> str | None:
    found = list_all(
        server,
        server.experiments.experiment_service_list_experiments,
        "experiments",
        filter=named(order.name),
        namespace=order.namespace,
    )
    if not found:
        return None
    experiment_id = require_id(server, found[0], "experiment_id")
    if found[0].storage_state == "ARCHIVED":
        raise InputError(
            f"{server.address}: experiment {order.name} is in the archive, which hides its runs; "
            f"restore it: {server.command} experiment unarchive --experiment-id {experiment_id}"
        )
    return experiment_id
