"""Pods of the model servers: what stops one from starting, and the ones that callers reach."""

import json
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError, Unavailable, VerificationError
from emotion_ai.rollouts.cluster.api import Cluster, Object
from emotion_ai.rollouts.cluster.names import (
    INIT_CONTAINER,
    PODS_SERVICE,
    SERVER_CONTAINER,
)

# What the kubelet waits for in vain, unless somebody changes the pod.
_STUCK = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff"})
_MAX_REASON = 400


def condition(body: Object, kind: str) -> Object:
    """Return a condition of an object's status; {} if it has none of this type."""
    found = [c for c in (body.get("status") or {}).get("conditions") or [] if c["type"] == kind]
    return dict(found[0]) if found else {}


def is_true(body: Object, kind: str) -> bool:
    """Whether a condition of an object's status is True."""
    return bool(condition(body, kind).get("status") == "True")


def restarts(pod: Object) -> int:
    """How often the server of a pod was started again."""
    return sum(status.get("restartCount", 0) for status in _statuses(pod, "containerStatuses"))


def start_failure(cluster: Cluster, pod: Object) -> EmotionAIError | None:
    """Return why a pod will not start, in one sentence; None while it may.

    Args:
        cluster: Where to read logs.
        pod: The pod as the API server answers.

    Returns:
        `VerificationError` where the release is to blame; `InputError` for a setting of the
        installation; `Unavailable` for the rest.
    """
    statuses = _statuses(pod, "initContainerStatuses") + _statuses(pod, "containerStatuses")
    for status in statuses:
        failure = _container_failure(cluster, pod, status)
        if failure is not None:
            return failure
    status = pod.get("status") or {}
    if status.get("phase") == "Failed":
        words = status.get("message") or status.get("reason") or "it failed"
        return Unavailable(f"pod {_name(pod)}: {words}")
    return None


def _container_failure(cluster: Cluster, pod: Object, status: Object) -> EmotionAIError | None:
    state = status.get("state") or {}
    where = f"pod {_name(pod)}: its container {status['name']}"
    waiting = state.get("waiting") or {}
    if waiting.get("reason") == "CrashLoopBackOff":
        ended = (status.get("lastState") or {}).get("terminated") or {}
        return _exit_failure(cluster, pod, status["name"], ended)
    if waiting.get("reason") in _STUCK:
        return InputError(f"{where} cannot start: {waiting['reason']}: {_waiting_words(waiting)}")
    ended = state.get("terminated") or {}
    is_server = status["name"] == SERVER_CONTAINER
    if ended and (ended.get("exitCode") or is_server):
        return _exit_failure(cluster, pod, status["name"], ended)
    return None


def _waiting_words(waiting: Object) -> str:
    message = str(waiting.get("message"))
    if waiting["reason"] not in _NO_IMAGE:
        return message
    # The runtime repeats the image's name with each of its steps; the last one has the reason.
    return ": ".join(message.split(": ")[-2:])


def _exit_failure(cluster: Cluster, pod: Object, container: str, ended: Object) -> EmotionAIError:
    code, reason = ended.get("exitCode"), ended.get("reason", "")
    words = ended.get("message") or cluster.log(_name(pod), container)
    line = _last_line(words)
    last = f": {line}" if line else ""
    how = "ran out of memory" if reason == "OOMKilled" else f"ended with exit code {code}"
    message = f"pod {_name(pod)}: its container {container} {how}{last}"
    # The init step says with exit code 1 that the world failed, not the release.
    if container == INIT_CONTAINER and code == 1:
        return Unavailable(message)
    if container not in (INIT_CONTAINER, SERVER_CONTAINER):
        # One that a component adds, such as tls.
        return InputError(message)
    return VerificationError(message)


def init_words(cluster: Cluster, pod: Object) -> str:
    """Return the last line of a pod's init step that has not ended; "" for none."""
    for status in _statuses(pod, "initContainerStatuses"):
        if status["name"] == INIT_CONTAINER and "running" in (status.get("state") or {}):
            return _last_line(cluster.log(_name(pod), INIT_CONTAINER))
    return ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_MAX_REASON] if lines else ""


def fetched_digest(pod: Object) -> str:
    """Return the content digest of the release that the pod's init step fetched."""
    for status in _statuses(pod, "initContainerStatuses"):
        if status["name"] == INIT_CONTAINER:
            ended = (status.get("state") or {}).get("terminated") or {}
            try:
                return str(json.loads(ended.get("message") or "{}")["content_digest"])
            except (ValueError, KeyError, TypeError):
                break
    return ""


def ready_endpoints(cluster: Cluster) -> list[str]:
    """List the names of the pods that callers reach, by the headless Service's EndpointSlices."""
    slices = cluster.list("endpointslices", {"kubernetes.io/service-name": PODS_SERVICE})
    names = set()
    for endpoint in (e for body in slices for e in body.get("endpoints") or []):
        conditions, target = endpoint.get("conditions") or {}, endpoint.get("targetRef") or {}
        if conditions.get("ready") and not conditions.get("terminating") and target:
            names.add(target["name"])
    return sorted(names)


def _statuses(pod: Object, key: str) -> list[dict[str, Any]]:
    return list((pod.get("status") or {}).get(key) or [])


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])
