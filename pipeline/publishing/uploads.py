"""The pipeline, its versions and its experiment at the API server: found, or made."""

import hashlib
from pathlib import Path

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


def find_pipeline(server: KfpServer, order: Order) -> str | None:
    """Return the pipeline's id, or None if there is none of this name."""
    found = list_all(
        server,
        server.pipelines.pipeline_service_list_pipelines,
        "pipelines",
        filter=named(order.name),
        namespace=order.namespace,
    )
    return require_id(server, found[0], "pipeline_id") if found else None


def create_pipeline(server: KfpServer, order: Order) -> str:
    """Create the pipeline, still without a version, and return its id."""
    body = {"name": order.name, "display_name": order.name, "namespace": order.namespace}
    given = {key: value for key, value in body.items() if value}
    try:
        answer = ask(server, server.pipelines.pipeline_service_create_pipeline, given)
    except NameTaken:
        # Somebody created it since it was looked for.
        if pipeline_id := find_pipeline(server, order):
            return pipeline_id
        raise
    return require_id(server, answer, "pipeline_id")


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
    try:
        answer = ask(
            server,
            server.uploads.upload_pipeline_version,
            str(package),
            name=version,
            pipelineid=pipeline_id,
        )
    except NameTaken:
        if version_id := find_version(server, pipeline_id, version):
            return version_id
        raise
    return require_id(server, answer, "pipeline_version_id")


def find_or_create_experiment(server: KfpServer, order: Order) -> str:
    """Return the id of the experiment that holds the runs."""
    found = list_all(
        server,
        server.experiments.experiment_service_list_experiments,
        "experiments",
        filter=named(order.name),
        namespace=order.namespace,
    )
    if found:
        return require_id(server, found[0], "experiment_id")
    body = {"display_name": order.name, "namespace": order.namespace}
    given = {key: value for key, value in body.items() if value}
    answer = ask(server, server.experiments.experiment_service_create_experiment, given)
    return require_id(server, answer, "experiment_id")
