"""Describe what serves in a cluster, for `emotion-ai describe --target kubernetes`.

Nothing is changed, and no other rights are needed than a rollout's.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Cluster, Forbidden, NotAccepted, Object, connect
from emotion_ai.rollouts.cluster.canary import CANARY_LABELS
from emotion_ai.rollouts.cluster.deployment import (
    REVISION_ANNOTATION,
    Deployment,
    read_deployment,
    template_release,
)
from emotion_ai.rollouts.cluster.journal import Journal, read_journal
from emotion_ai.rollouts.cluster.lease import LEASE_SECONDS
from emotion_ai.rollouts.cluster.names import (
    APP,
    APP_LABEL,
    CHANGE_CAUSE_ANNOTATION,
    LEASE,
    PROVEN_CONDITION,
    RELEASE_LABEL,
)
from emotion_ai.rollouts.cluster.pods import condition, is_true, ready_endpoints
from emotion_ai.rollouts.cluster.preflight import found_in
from emotion_ai.rollouts.cluster.promotion import STABLE_LABELS
from emotion_ai.rollouts.cluster.warnings import find_warnings
from emotion_ai.rollouts.settings import RolloutSettings

_JOB_LABEL = "batch.kubernetes.io/job-name"


def describe_cluster(
    registry: str, champion: int | None, settings: RolloutSettings
) -> dict[str, Any]:
    """Describe what serves in the cluster of this pod, or of the kubeconfig.

    Args:
        registry: The registry that it should serve.
        champion: The release that the registry's models.config names; None for none.
        settings: Where the servers are.

    Returns:
        Data for JSON: `address`, `namespace`, `deployment`, `registry` (of the pods), `release` (of
        the pod template; None before the first rollout), `is_complete`, `releases`, `canary`,
        `rollout`, and `warnings`, a sentence each; the functions below say what is in them.

    Raises:
        InputError: There is no cluster configured, no installation, or the rights are missing.
        Unavailable: The API server or the registry does not answer.
    """
    return describe_cluster_on(connect(settings.namespace), registry, champion, settings)


def describe_cluster_on(
    cluster: Cluster, registry: str, champion: int | None, settings: RolloutSettings
) -> dict[str, Any]:
    """Describe a cluster; see `describe_cluster`."""
    try:
        with found_in(cluster.namespace):
            lease = cluster.get("leases", LEASE)
            body = cluster.get("deployments", settings.deployment)
        sets = cluster.list("replicasets", STABLE_LABELS)
        pods = cluster.list("pods", {APP_LABEL: APP})
        jobs = cluster.list("jobs", CANARY_LABELS)
        reached = set(ready_endpoints(cluster))
    except NotAccepted:
        raise
    except Forbidden as error:
        raise InputError(
            f"{error}; bind the account to the Role emotion-ai-operator of k8s/base"
        ) from None
    deployment, journal = read_deployment(body), read_journal(lease)
    answering = [pod for pod in pods if pod["metadata"]["name"] in reached]
    rollout = _describe_rollout(lease, journal)
    description = {
        "address": cluster.address,
        "namespace": cluster.namespace,
        "deployment": deployment.name,
        "registry": deployment.registry,
        "release": deployment.release,
        "is_complete": deployment.is_complete,
        "releases": _describe_releases(body, deployment, journal, sets, answering),
        "canary": _describe_canary(jobs, pods, reached),
        "rollout": rollout,
    }
    warnings = find_warnings(cluster, registry, champion, deployment, journal, description, pods)
    return description | {"warnings": warnings}


def _describe_releases(
    body: Object,
    deployment: Deployment,
    journal: Journal,
    sets: list[Object],
    answering: list[Object],
) -> list[dict[str, Any]]:
    """Describe the releases of the Deployment and of its earlier revisions, the newest first.

    Returns:
        For each: `release`, `ready` (pods that callers reach), `wanted` (pods that there should
        be), `revision` (its latest in `kubectl rollout history`), `cause` (what that says), `since`
        (when the last pod of the current revision was available; "" for the others), and `by` (the
        run that rolled it out, or "kubectl"; "" where the journal has forgotten it).
    """
    found: dict[int, dict[str, Any]] = {}
    for replica_set in sorted(_own(sets, deployment), key=_revision):
        release = template_release(replica_set["spec"]["template"])
        if release is None:
            continue
        earlier = found.get(release, {"wanted": 0})
        annotations = replica_set["metadata"].get("annotations") or {}
        found[release] = {
            "release": release,
            "ready": _count(answering, STABLE_LABELS | {RELEASE_LABEL: str(release)}),
            "wanted": earlier["wanted"] + replica_set["spec"].get("replicas", 0),
            "revision": annotations.get(REVISION_ANNOTATION, ""),
            "cause": annotations.get(CHANGE_CAUSE_ANNOTATION, ""),
            "since": "",
            "by": _run(journal, release),
        }
    current = found.get(deployment.release or 0)
    if current:
        current |= {"wanted": deployment.replicas, "revision": deployment.revision}
        if deployment.is_complete:
            current["since"] = condition(body, "Progressing").get("lastUpdateTime", "")
        if journal.phase == "done" and deployment.release != journal.proven:
            current["by"] = "kubectl"
    return [found[release] for release in sorted(found, reverse=True)]


def _own(sets: list[Object], deployment: Deployment) -> list[Object]:
    """The Deployment's ReplicaSets; those of a former Deployment may be left."""

    def owners(body: Object) -> set[str]:
        return {owner["uid"] for owner in body["metadata"].get("ownerReferences") or []}

    return [body for body in sets if deployment.uid in owners(body)]


def _revision(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION, "")
    return int(text) if text.isdecimal() else 0


def _count(pods: list[Object], labels: dict[str, str]) -> int:
    return sum(labels.items() <= pod["metadata"]["labels"].items() for pod in pods)


def _run(journal: Journal, release: int) -> str:
    if journal.phase != "done" and journal.release == release:
        return journal.run
    runs = [o.run for o in journal.outcomes if o.release == release and not o.reason]
    return runs[-1] if runs else ""


def _describe_canary(
    jobs: list[Object], pods: list[Object], reached: set[str]
) -> dict[str, Any] | None:
    """Describe the newest canary; None if there is none.

    Returns:
        `job`, `release`, `pod`, `node`, `is_proven`, `is_reached` (by callers), `ends` (when its
        Job removes it, whatever becomes of the rollout), and `failure` (of the Job; "" for none).
    """
    if not jobs:
        return None
    job = max(jobs, key=lambda body: str(body["metadata"].get("creationTimestamp", "")))
    name = job["metadata"]["name"]
    own = [pod for pod in pods if pod["metadata"]["labels"].get(_JOB_LABEL) == name]
    pod = own[-1] if own else {"metadata": {"name": ""}, "spec": {}}
    failed = condition(job, "Failed")
    return {
        "job": name,
        "release": int(job["metadata"]["labels"][RELEASE_LABEL]),
        "pod": pod["metadata"]["name"],
        "node": pod["spec"].get("nodeName", ""),
        "is_proven": is_true(pod, PROVEN_CONDITION),
        "is_reached": pod["metadata"]["name"] in reached,
        "ends": _end(job),
        "failure": failed.get("message") or failed.get("reason") or "",
    }


def _end(job: Object) -> str:
    started = (job.get("status") or {}).get("startTime")
    seconds = job["spec"].get("activeDeadlineSeconds")
    if not started or not seconds:
        return ""
    end = datetime.fromisoformat(started) + timedelta(seconds=seconds)
    return end.strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe_rollout(lease: Object, journal: Journal) -> dict[str, Any]:
    """Describe who holds the lease, and what its journal says.

    Returns:
        `holder` ("" for nobody), `is_alive` (whether it renews the lease, by this machine's clock),
        `phase`, `release`, `run`, `since`, `proven`, and `refused` (why, for each release that was
        judged bad last).
    """
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime")
    age = datetime.now(UTC) - datetime.fromisoformat(renewed) if renewed else timedelta(0)
    last = {str(outcome.release): outcome.reason for outcome in journal.outcomes}
    return {
        "holder": holder,
        "is_alive": bool(holder) and age.total_seconds() <= LEASE_SECONDS,
        "phase": journal.phase,
        "release": journal.release,
        "run": journal.run,
        "since": journal.since,
        "proven": journal.proven,
        "refused": {release: reason for release, reason in last.items() if reason},
    }
