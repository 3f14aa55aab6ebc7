"""What a rollout needs to find in the cluster, looked at before anything changes or trains."""

import contextlib
import time
from collections.abc import Iterator

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.rollouts.cluster.api import Cluster, NotFound, connect
from emotion_ai.rollouts.cluster.connections import PodConnections, read_tls
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.names import LEASE, REGISTRY_VARIABLE, SERVER_CONTAINER
from emotion_ai.rollouts.cluster.promotion import endpoint_pods, fetch_deployment
from emotion_ai.rollouts.cluster.rights import check_rights
from emotion_ai.rollouts.settings import RolloutSettings, TlsFiles

_TLS_FLAG = "--ssl_config_file="
# The pods of a lost node leave the endpoints within 50 s.
_REACH_SECONDS = 60.0
_POLL_SECONDS = 0.5


def check_cluster(registry: str, settings: RolloutSettings) -> None:
    """Look for the cluster, the rights, and an installation that serves this registry.

    Raises:
        InputError: Something is missing; says what, and how to get it.
        Unavailable: The API server does not answer, or no server does that is ready for callers.
    """
    check_installation(connect(settings.namespace), registry, settings)


def check_installation(cluster: Cluster, registry: str, settings: RolloutSettings) -> None:
    """Look for the rights and the installation in a cluster; see `check_cluster`."""
    check_rights(cluster, settings.deployment)
    with found_in(cluster.namespace):
        deployment = fetch_deployment(cluster, settings.deployment)
        cluster.get("leases", LEASE)
    if deployment.is_paused:
        raise InputError(
            f"deployment {deployment.name} in {cluster.namespace}: it is paused, so nothing would "
            f"be rolled out; kubectl -n {cluster.namespace} rollout resume deployment/"
            f"{deployment.name}"
        )
    if not serves_registry(deployment, registry):
        raise InputError(
            f"deployment {deployment.name} in {cluster.namespace}: its {REGISTRY_VARIABLE} is "
            f"{deployment.registry or 'empty'}, and this release is in {registry}; expected the "
            "same registry"
        )
    _check_tls(deployment, settings.tls)
    _check_reach(cluster, settings)


@contextlib.contextmanager
def found_in(namespace: str) -> Iterator[None]:
    """Tell what the block does not find, and that it comes with the manifests."""
    try:
        yield
    except NotFound as error:
        raise InputError(
            f"{error} in namespace {namespace}; install the servers first, or apply their "
            "manifests again: k8s/README.md"
        ) from None


def _check_tls(deployment: Deployment, files: TlsFiles) -> None:
    """Compare how the servers answer with how they are asked, and read the files for it.

    A server that is asked in the wrong way would look like one whose release is bad.
    """
    tls, pod = read_tls(files), deployment.template["spec"]
    (server,) = (c for c in pod["containers"] if c["name"] == SERVER_CONTAINER)
    words = [*(server.get("command") or []), *(server.get("args") or [])]
    has_tls = any(word.startswith(_TLS_FLAG) for word in words)
    if has_tls and tls is None:
        raise InputError(
            f"deployment {deployment.name}: its servers ask for TLS; name the PEM files with "
            "--tls-ca, --tls-certificate and --tls-key, or in the run setting rollout.tls"
        )
    if tls is not None and not has_tls:
        raise InputError(
            f"deployment {deployment.name}: its servers answer in plain text, without "
            f"{_TLS_FLAG}...; leave the TLS files out, or install k8s/components/tls"
        )
    if tls is not None:
        tls.credentials()


def _check_reach(cluster: Cluster, settings: RolloutSettings) -> None:
    """Ask the servers that are ready for callers, until one answers.

    If none does, such as for a certificate that they refuse, every release would look bad.
    """
    give_up = time.monotonic() + _REACH_SECONDS
    with PodConnections(cluster, settings.tls) as connections:
        while pods := endpoint_pods(cluster):
            problems = []
            for pod in pods:
                problem = connections.problem(pod)
                if not problem:
                    return
                problems.append(f"pod {pod['metadata']['name']}: {problem}")
            if time.monotonic() > give_up:
                raise Unavailable(
                    f"deployment {settings.deployment}: none of its servers that are ready for "
                    f"callers answers here, so no release can be judged: {problems[0]}"
                )
            time.sleep(_POLL_SECONDS)


def serves_registry(deployment: Deployment, registry: str) -> bool:
    """Whether a Deployment's pods may fetch their releases from a registry.

    A folder has another name in a pod; the canary's content digest says whether it is the same.
    """
    same = deployment.registry.rstrip("/") == registry.rstrip("/")
    return same or not (storage.is_remote(registry) or storage.is_remote(deployment.registry))
