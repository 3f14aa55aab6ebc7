"""Wait for the Deployment as `kubectl rollout status` does, and prove every endpoint."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from emotion_ai.errors import EmotionAIError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.api import ApiUnavailable, Cluster, NotFound, Object
from emotion_ai.rollouts.cluster.connections import PodConnections
from emotion_ai.rollouts.cluster.deployment import Deployment, read_deployment
from emotion_ai.rollouts.cluster.names import APP, APP_LABEL, RELEASE_LABEL, TRACK_LABEL
from emotion_ai.rollouts.cluster.pods import ready_endpoints, start_failure
from emotion_ai.rollouts.verification import GoldenRequests

STABLE_LABELS = {APP_LABEL: APP, TRACK_LABEL: "stable"}
_POLL_SECONDS = 0.5
_PROOF_SECONDS = 30.0
_MAX_THREADS = 8


class MovedByPerson(Unavailable):
    """The Deployment is at another release than this rollout's: a person's act; no verdict."""


class NotComplete(VerificationError):
    """The pods of a release do not come up."""


def fetch_deployment(cluster: Cluster, name: str) -> Deployment:
    """Read the Deployment; see `read_deployment`."""
    return read_deployment(cluster.get("deployments", name))


def wait_until_complete(
    cluster: Cluster,
    name: str,
    release: int | None,
    timeout_s: float,
    say: Callable[[str], None] = lambda line: None,
) -> Deployment:
    """Wait until every pod of the Deployment runs its template and is available.

    A pod that the world keeps from starting, such as a bucket that is away, is waited for: the
    kubelet starts it again, and the pods before it serve meanwhile.

    Args:
        cluster: The namespace.
        name: The Deployment.
        release: The release that it is expected to be at.
        timeout_s: How long to wait.
        say: Receives a line whenever what it waits for changes.

    Raises:
        MovedByPerson: It is at another release.
        NotComplete: A pod cannot start, or the time is over.
    """
    give_up, said, obstacle = time.monotonic() + timeout_s, "", ""
    while True:
        deployment = fetch_deployment(cluster, name)
        if deployment.release != release:
            raise MovedByPerson(
                f"deployment {name}: is at release {deployment.release or 'none'}, not {release}: "
                "somebody has moved it; nothing more is changed"
            )
        if deployment.is_complete:
            return deployment
        failure = _pod_failure(cluster, release)
        if isinstance(failure, Unavailable):
            obstacle = f": {failure}"
        elif failure is not None:
            raise NotComplete(str(failure))
        if deployment.failure:
            raise NotComplete(f"deployment {name}: {deployment.failure}{obstacle}")
        if time.monotonic() > give_up:
            raise NotComplete(
                f"deployment {name}: is not rolled out after {timeout_s:g} s{obstacle}"
            )
        line = f"{failure}; waiting" if failure else deployment.progress
        if line != said:
            said = line
            say(f"release {release}: {line}")
        time.sleep(_POLL_SECONDS)


def _pod_failure(cluster: Cluster, release: int | None) -> EmotionAIError | None:
    if release is None:
        return None
    for pod in cluster.list("pods", {**STABLE_LABELS, RELEASE_LABEL: str(release)}):
        # One that is removed may end as it likes.
        if not pod["metadata"].get("deletionTimestamp"):
            failure = start_failure(cluster, pod)
            if failure is not None:
                return failure
    return None


def prove_endpoints(
    cluster: Cluster,
    connections: PodConnections,
    release: int,
    golden: GoldenRequests,
    timeout_s: float,
) -> list[dict[str, Any]]:
    """Compare the golden answers of every server that callers reach.

    A server that does not answer is asked again until it answers or leaves the endpoints, as the
    pods of a lost node do.

    Returns:
        For each: `pod`, `node`, `track`, `address`, `version`, `largest_difference`.

    Raises:
        VerificationError: One answers otherwise, or does not answer in time; or there is none.
    """
    give_up = time.monotonic() + timeout_s
    while True:
        try:
            pods = endpoint_pods(cluster)
            if not pods:
                raise Unavailable("no server is ready for callers")
            return _prove(connections, pods, release, golden)
        except (VerificationError, ApiUnavailable):
            raise
        except Unavailable as error:
            if time.monotonic() > give_up:
                raise VerificationError(str(error)) from None
            time.sleep(_POLL_SECONDS)


def _prove(
    connections: PodConnections, pods: list[Object], release: int, golden: GoldenRequests
) -> list[dict[str, Any]]:
    def prove(pod: Object) -> dict[str, Any]:
        difference = connections.prove(pod, release, golden, _PROOF_SECONDS)
        return {
            "pod": pod["metadata"]["name"],
            "node": pod["spec"].get("nodeName", ""),
            "track": pod["metadata"]["labels"].get(TRACK_LABEL, ""),
            "address": pod["status"].get("podIP", ""),
            "version": release,
            "largest_difference": difference,
        }

    # Opened here, because connections are not opened by several threads at once.
    for pod in pods:
        connections.client(pod)
    with ThreadPoolExecutor(_MAX_THREADS) as pool:
        return list(pool.map(prove, pods))


def endpoint_pods(cluster: Cluster) -> list[Object]:
    """List the pods that callers reach."""
    pods = []
    for name in ready_endpoints(cluster):
        try:
            pods.append(cluster.get("pods", name))
        except NotFound:
            # It left after it was listed.
            continue
    return pods
