"""The canary: one pod of the new release, in a Job that ends by itself.

A Job, because its deadline removes a canary whose creator was killed, a crashed canary stays
failed, and `kubectl rollout undo` never lands on it. A readiness gate keeps it from callers until
its golden answers are proven.
"""

import contextlib
import copy
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from emotion_ai.errors import EmotionAIError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.api import Cluster, Conflict, NotFound, Object
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.names import (
    APP,
    APP_LABEL,
    DIGEST_ANNOTATION,
    INIT_CONTAINER,
    PROVEN_CONDITION,
    RELEASE_LABEL,
    RELEASE_VARIABLE,
    TRACK_LABEL,
)
from emotion_ai.rollouts.cluster.pods import condition, init_words, is_true, start_failure
from emotion_ai.rollouts.settings import RolloutSettings

CANARY_LABELS = {APP_LABEL: APP, TRACK_LABEL: "canary"}
# What a canary's Job may last beyond its start and the bake: proof and promotion.
_MARGIN_S = 300
_TTL_S = 86_400
# How long the Job may go without a pod, and the pod without a node.
_MAX_UNSCHEDULED_S = 120.0
_POLL_SECONDS = 0.5


class CanaryGone(Unavailable):
    """The canary's Job or pod was removed by others; no verdict on the release."""


def new_job_name(release: int) -> str:
    """Return a name that no other Job has."""
    return f"{APP}-canary-{release}-{uuid.uuid4().hex[:5]}"


def canary_job(
    name: str, deployment: Deployment, release: int, digest: str, settings: RolloutSettings
) -> Object:
    """Build the Job of a canary from the Deployment's pod template.

    Args:
        name: The Job's name.
        deployment: The Deployment as it was read.
        release: The release to try.
        digest: Its content digest.
        settings: How long the start and the bake may last.
    """
    labels = {**CANARY_LABELS, RELEASE_LABEL: str(release)}
    template = copy.deepcopy(deployment.template)
    metadata = {
        "labels": (template["metadata"].get("labels") or {}) | labels,
        "annotations": (template["metadata"].get("annotations") or {})
        | {DIGEST_ANNOTATION: digest},
    }
    pod = template["spec"]
    pod["restartPolicy"] = "Never"
    gates = [g for g in pod.get("readinessGates") or [] if g["conditionType"] != PROVEN_CONDITION]
    pod["readinessGates"] = [*gates, {"conditionType": PROVEN_CONDITION}]
    for container in pod["initContainers"]:
        if container["name"] == INIT_CONTAINER:
            others = [v for v in container.get("env") or [] if v["name"] != RELEASE_VARIABLE]
            container["env"] = [*others, {"name": RELEASE_VARIABLE, "value": str(release)}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(settings.timeout_s + settings.canary.max_bake_s)
            + _MARGIN_S,
            "ttlSecondsAfterFinished": _TTL_S,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": {"metadata": metadata, "spec": pod},
        },
    }


def create_canary(cluster: Cluster, job: Object) -> None:
    """Create the Job; one that exists already is ours, because its name is random."""
    with contextlib.suppress(Conflict):
        cluster.create("jobs", job)


def wait_for_canary(cluster: Cluster, job: str, timeout_s: float) -> Object:
    """Wait until the canary's containers are ready.

    Returns:
        Its pod.

    Raises:
        VerificationError: The release does not start.
        InputError: The installation keeps it from starting, such as a missing image.
        Unavailable: It does not start in time, or there is no room for it.
        CanaryGone: Somebody removed it.
    """
    started = time.monotonic()
    while True:
        pod = find_canary(cluster, job)
        seconds = time.monotonic() - started
        if pod is not None:
            _check_presence(job, pod)
            if is_true(pod, "ContainersReady"):
                return pod
            _check_start(cluster, pod, seconds)
        elif seconds > _MAX_UNSCHEDULED_S:
            raise Unavailable(
                f"canary {job}: its Job got no pod in {_MAX_UNSCHEDULED_S:g} s; kubectl -n "
                f"{cluster.namespace} get events --field-selector involvedObject.name={job} says "
                "why, such as a quota that is used up"
            )
        if seconds > timeout_s:
            # A Secret or a volume that is missing shows in its events alone, which a rollout has no
            # right to read.
            words = init_words(cluster, pod) if pod else ""
            why = words or f"kubectl -n {cluster.namespace} get events says what its pod waited for"
            raise Unavailable(f"canary {job}: has not started in {timeout_s:g} s; {why}")
        time.sleep(_POLL_SECONDS)


def _check_start(cluster: Cluster, pod: Object, seconds: float) -> None:
    failure = start_failure(cluster, pod)
    if failure is not None:
        raise failure
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable" and seconds > _MAX_UNSCHEDULED_S:
        name = pod["metadata"]["name"]
        raise Unavailable(f"pod {name}: no node has room for it: {scheduled.get('message')}")


def find_canary(cluster: Cluster, job: str) -> Object | None:
    """Return the newest pod of a canary's Job; None before it has one.

    Raises:
        CanaryGone: The Job is gone.
        Unavailable: The Job failed before it had a pod.
    """
    pods = cluster.list("pods", {"batch.kubernetes.io/job-name": job})
    if pods:
        return max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    try:
        body = cluster.get("jobs", job)
    except NotFound:
        raise CanaryGone(f"canary {job}: was removed by somebody else") from None
    failed = condition(body, "Failed")
    if failed.get("status") == "True":
        raise Unavailable(f"canary {job}: {failed.get('message') or failed.get('reason')}")
    return None


def check_canary(cluster: Cluster, job: str, name: str) -> Object:
    """Return the canary's pod while it runs and is ready.

    Raises:
        VerificationError: Its server ended.
        CanaryGone: It was removed, evicted or lost.
    """
    try:
        pod = cluster.get("pods", name)
    except NotFound:
        raise CanaryGone(f"canary {job}: its pod was removed by somebody else") from None
    _check_presence(job, pod)
    failure = start_failure(cluster, pod)
    if failure is not None:
        raise _as_crash(failure)
    return pod


def _check_presence(job: str, pod: Object) -> None:
    # Looked at first: the servers of a pod that leaves end, too.
    if pod["metadata"].get("deletionTimestamp") or is_true(pod, "DisruptionTarget"):
        raise CanaryGone(f"canary {job}: its pod was removed or evicted")


def _as_crash(failure: EmotionAIError) -> EmotionAIError:
    # A server that was ready and ended is the release's fault, whatever its exit code.
    return failure if isinstance(failure, VerificationError) else VerificationError(str(failure))


def admit_canary(cluster: Cluster, job: str, pod: str, message: str) -> None:
    """Let callers reach the canary; raise `CanaryGone` where somebody has removed it."""
    try:
        set_proven(cluster, pod, proven=True, reason="GoldenAnswers", message=message)
    except NotFound:
        raise CanaryGone(f"canary {job}: its pod was removed by somebody else") from None


def set_proven(cluster: Cluster, pod: str, *, proven: bool, reason: str, message: str) -> None:
    """Set the condition that the canary's readiness gate waits for, or take it back."""
    entry: dict[str, Any] = {
        "type": PROVEN_CONDITION,
        "status": "True" if proven else "False",
        "reason": reason,
        "message": message[:1000],
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    cluster.patch("pods", f"{pod}/status", {"status": {"conditions": [entry]}})


def remove_canaries(cluster: Cluster, keep: str = "", *, grace_s: int | None = None) -> list[str]:
    """Delete every canary's Job but one; callers leave each within a second.

    Args:
        cluster: The namespace.
        keep: The Job that stays; "" for none.
        grace_s: How long their servers go on for callers that still know them; None for the time
            that the pod sets for its drain.

    Returns:
        The names of the deleted Jobs.
    """
    names = [job["metadata"]["name"] for job in cluster.list("jobs", CANARY_LABELS)]
    removed = [name for name in names if name != keep]
    for name in removed:
        pods = cluster.list("pods", {"batch.kubernetes.io/job-name": name})
        for pod in pods:
            with contextlib.suppress(EmotionAIError):
                set_proven(
                    cluster,
                    pod["metadata"]["name"],
                    proven=False,
                    reason="Withdrawn",
                    message="the canary is removed",
                )
        cluster.delete("jobs", name)
        if grace_s is not None:
            for pod in pods:
                cluster.delete("pods", pod["metadata"]["name"], grace_s)
    return removed
