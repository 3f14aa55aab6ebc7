"""Where a local run rolls out: a server that it starts itself, or the servers of a cluster."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from emotion_ai.client.client import Client
from emotion_ai.errors import InputError
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.server.process import running_server


def check_target(settings: RunSettings, runner: str) -> None:
    """Look for what the rollout needs at the end of the run.

    Raises:
        InputError: The runner does not reach the cluster, or the cluster, the installation or
            rights in it are missing.
        Unavailable: The cluster does not answer.
    """
    if settings.serving.target == "local":
        return
    if runner == "docker":
        raise InputError(
            "--runner docker: steps in containers have no kubeconfig, so they reach no cluster; "
            "leave it out, or roll out on target local"
        )
    from emotion_ai.rollouts.cluster.preflight import check_cluster

    check_cluster(settings.registry, settings.serving.rollout)


@contextlib.contextmanager
def running_target(settings: RunSettings, log: Path) -> Iterator[RunSettings]:
    """Start the server of target local for the block; those of a cluster run already.

    Args:
        settings: The settings of the run.
        log: Receives the server's log.

    Yields:
        The settings with the server's address.

    Raises:
        Unavailable: The server does not start.
    """
    if settings.serving.target != "local":
        yield settings
        return
    with running_server(settings.registry, log) as address:
        serving = settings.serving.model_copy(update={"server": address})
        yield settings.model_copy(update={"serving": serving})


@contextlib.contextmanager
def open_client(settings: RunSettings) -> Iterator[Client]:
    """Open a client, for pictures of one face each, of a server of the target."""
    if settings.serving.target == "local":
        with Client(settings.serving.server, faces="whole") as client:
            yield client
        return
    from emotion_ai.rollouts.cluster.served import open_client as open_client_in_cluster

    with open_client_in_cluster(settings.serving.rollout, "whole") as client:
        yield client
