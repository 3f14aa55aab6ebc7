"""Ask the servers of a cluster as a caller does."""

import contextlib
from collections.abc import Iterator

from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable
from emotion_ai.rollouts.cluster.api import connect
from emotion_ai.rollouts.cluster.connections import read_tls
from emotion_ai.rollouts.cluster.names import GRPC_PORT
from emotion_ai.rollouts.cluster.promotion import endpoint_pods
from emotion_ai.rollouts.cluster.reach import reach_pod
from emotion_ai.rollouts.settings import RolloutSettings


@contextlib.contextmanager
def open_client(settings: RolloutSettings, faces: str) -> Iterator[Client]:
    """Open a client of one of the servers that callers reach, in the cluster or from outside.

    Args:
        settings: Where the servers are.
        faces: The face detector, as `Client` takes it.

    Raises:
        InputError: There is no cluster configured, or rights are missing.
        Unavailable: The cluster does not answer, or no server is ready.
    """
    cluster = connect(settings.namespace)
    pods = endpoint_pods(cluster)
    if not pods:
        raise Unavailable(f"cluster {cluster.address}: no server of {cluster.namespace} is ready")
    with (
        reach_pod(cluster, pods[0], GRPC_PORT) as address,
        Client(address, faces, tls=read_tls(settings.tls)) as client,
    ):
        yield client
