"""What a rollout needs to find in the cluster, looked at before anything changes or trains."""

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Cluster, NotFound, connect
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.names import LEASE, REGISTRY_VARIABLE
from emotion_ai.rollouts.cluster.promotion import fetch_deployment
from emotion_ai.rollouts.cluster.rights import check_rights
from emotion_ai.rollouts.settings import RolloutSettings


def check_cluster(registry: str, settings: RolloutSettings) -> None:
    """Look for the cluster, the rights, and an installation that serves this registry.

    Raises:
        InputError: Something is missing; says what, and how to get it.
        Unavailable: The API server does not answer.
    """
    check_installation(connect(settings.namespace), registry, settings)


def check_installation(cluster: Cluster, registry: str, settings: RolloutSettings) -> None:
    """Look for the rights and the installation in a cluster; see `check_cluster`."""
    check_rights(cluster, settings.deployment)
    try:
        deployment = fetch_deployment(cluster, settings.deployment)
        cluster.get("leases", LEASE)
    except NotFound as error:
        raise InputError(
            f"{error} in namespace {cluster.namespace}; install the servers first: k8s/README.md"
        ) from None
    if not serves_registry(deployment, registry):
        raise InputError(
            f"deployment {deployment.name} in {cluster.namespace}: its {REGISTRY_VARIABLE} is "
            f"{deployment.registry or 'empty'}, and this release is in {registry}; expected the "
            "same registry"
        )


def serves_registry(deployment: Deployment, registry: str) -> bool:
    """Whether a Deployment's pods may fetch their releases from a registry.

    A folder has another name in a pod; the canary's content digest says whether it is the same.
    """
    same = deployment.registry.rstrip("/") == registry.rstrip("/")
    return same or not (storage.is_remote(registry) or storage.is_remote(deployment.registry))
