"""Publishes the compiled pipeline to Kubeflow Pipelines, and schedules its newest version.

A version is named by its content, so publishing the same pipeline again changes nothing. The client
of kfp 2.17 schedules no pipeline without a version: a new version needs a new schedule.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.pipeline.parameters import check_parameters
from emotion_ai.pipeline.publishing.order import Order
from emotion_ai.pipeline.publishing.schedules import replace_schedule
from emotion_ai.pipeline.publishing.server import KfpServer, ask, require_id
from emotion_ai.pipeline.publishing.uploads import (
    create_pipeline,
    fetch_spec,
    find_or_create_experiment,
    find_pipeline,
    find_version,
    read_spec,
    upload,
    version_name,
)
from emotion_ai.pipeline.publishing.values import check_values


def publish(server: KfpServer, package: Path, order: Order) -> Iterator[str]:
    """Publish a compiled pipeline; what is there already stays as it is.

    Args:
        server: The API server.
        package: The compiled pipeline.
        order: What is to be done besides.

    Yields:
        A line for each thing done, as soon as it is, and how to undo it.

    Raises:
        InputError: The pipeline takes no such parameter, and nothing was sent; or the server
            refuses the pipeline or the schedule.
        Unavailable: The server failed; the last line says how far it came.
    """
    if order.starts_something:
        spec = read_spec(package)
        check_parameters(order.parameters, spec)
        check_values(order.parameters, spec)
    pipeline_id = find_pipeline(server, order)
    if not pipeline_id:
        pipeline_id = create_pipeline(server, order)
        yield f"pipeline {order.name} ({pipeline_id}): created"
    version = version_name(package)
    version_id = find_version(server, pipeline_id, version)
    if version_id:
        yield f"version {version} ({version_id}): there already, nothing is uploaded"
    else:
        version_id = upload(server, package, pipeline_id, version)
        yield f"version {version} ({version_id}): uploaded"
        yield f"  undo: {server.command} pipeline delete-version {pipeline_id} {version_id}"
    yield from _start(server, order, pipeline_id, version, version_id)


def publish_again(server: KfpServer, version: str, order: Order) -> Iterator[str]:
    """Schedule or start a version that was published before; arguments as for `publish`.

    Args:
        server: The API server.
        version: The version's name.
        order: What is to be done.

    Yields:
        As `publish` does.

    Raises:
        InputError: There is no such version, or it takes no such parameter.
    """
    pipeline_id = find_pipeline(server, order)
    version_id = find_version(server, pipeline_id, version) if pipeline_id else None
    if not pipeline_id or not version_id:
        raise InputError(
            f"{server.address}: pipeline {order.name} has no version {version}; its page lists them"
        )
    spec = fetch_spec(server, pipeline_id, version_id)
    check_parameters(order.parameters, spec)
    yield f"version {version} ({version_id}): there already, nothing is uploaded"
    yield from _start(server, order, pipeline_id, version, version_id)


def _start(
    server: KfpServer, order: Order, pipeline_id: str, version: str, version_id: str
) -> Iterator[str]:
    """Start a run and replace the schedule, if the order says so; yield what was done."""
    if not order.starts_something:
        return
    body = {
        "experiment_id": find_or_create_experiment(server, order),
        "pipeline_version_reference": {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": version_id,
        },
        "runtime_config": {"parameters": dict(order.parameters)},
    }
    if order.service_account:
        body["service_account"] = order.service_account
    # The schedule first: where it fails, the same call is made again, and starts one run.
    if order.schedule:
        yield from replace_schedule(server, order, version, body)
    if order.run_name:
        run = body | {"display_name": order.run_name}
        run_id = _start_run(server, run)
        yield f"run {order.run_name} ({run_id}): started"
        yield f"  watch it, or end it: {server.address}/#/runs/details/{run_id}"


def _start_run(server: KfpServer, run: dict[str, Any]) -> str:
    try:
        answer = ask(server, server.runs.run_service_create_run, run)
    except InputError as error:
        raise InputError(f"{error}; no run was started") from None
    except Unavailable as error:
        # The answer may have been lost, and the same command would start another run.
        raise Unavailable(
            f"{error}; whether the run was started is not known: look at {server.address}/#/runs"
        ) from None
    return require_id(server, answer, "run_id")
