"""The address and credentials of the cluster: of this pod, or of the kubeconfig."""

import logging
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from emotion_ai.errors import InputError, install_hint, one_line


def load_credentials() -> tuple[Any, bool]:
    """Read how to reach the API server; nothing is sent.

    Returns:
        A `kubernetes.client.Configuration`, and whether this process runs in a pod.

    Raises:
        InputError: There is no cluster configured, or the client library is not installed.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise InputError(
            f"rollout target kubernetes: kubernetes is missing; {install_hint('kubernetes')}"
        ) from None

    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)
        return settings, True
    except config.ConfigException:
        load_kubeconfig(settings)
        return settings, False


def load_kubeconfig(settings: Any) -> None:
    """Read the kubeconfig (KUBECONFIG, else ~/.kube/config) into a client's configuration.

    Raises:
        InputError: There is none, or it is no kubeconfig.
    """
    from kubernetes import config

    # What a kubeconfig's own program (a cloud's plug-in) says when it fails is only logged.
    said: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueHandler(said)
    listener.setLevel(logging.ERROR)
    logging.getLogger().addHandler(listener)
    try:
        config.load_kube_config(client_configuration=settings)
        problem = one_line(said.get().getMessage()) if not said.empty() else ""
    except Exception as error:
        # The library checks little of the file, and raises whatever it stumbles over.
        problem = one_line(error)
    finally:
        logging.getLogger().removeHandler(listener)
    if problem:
        raise InputError(
            f"no cluster: this is no pod, and the kubeconfig cannot be used: "
            f"{problem.rstrip('.')}; set KUBECONFIG, or use the rollout target local"
        )
