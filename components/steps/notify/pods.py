"""Find which steps of a run failed, and why, by the run's pods in Kubeflow Pipelines.

KFP 2.17 tells the exit handler that the run failed, and nothing else. A step that had no time to
say why, because the node ended it for its memory, is found here too.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_ai.errors import EmotionAIError, one_line
from emotion_ai.registry.failures import KILLED, STEP_VARIABLE, failure_record

Object = dict[str, Any]

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# KFP's label of all pods of a run, and Argo's name for the container with the step.
_RUN_LABEL = "pipeline/runid"
_CONTAINER = "main"


def failed_steps(job_id: str) -> list[dict[str, Any]]:
    """Return the records of the steps that failed, the first to fail first.

    Args:
        job_id: KFP's id of the run.

    Returns:
        Records as of `failure_record`; none outside of a cluster, or where the pods may not be
        listed, which is printed.
    """
    if not job_id or "KUBERNETES_SERVICE_HOST" not in os.environ or not _NAMESPACE.exists():
        return []
    from emotion_ai.rollouts.cluster.api import connect

    try:
        pods = connect(_NAMESPACE.read_text().strip()).list("pods", {_RUN_LABEL: job_id})
    except EmotionAIError as error:
        print(
            f"the run's pods cannot be listed, so the failed step is not named: {one_line(error)}"
        )
        return []
    return failures_of(pods)


def failures_of(pods: list[Object]) -> list[dict[str, Any]]:
    """Return the records of the steps whose last try failed, the first to fail first.

    Args:
        pods: The pods of a run, in the API's JSON form.
    """
    last_try: dict[str, Object] = {}
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]):
        last_try[_step(pod)] = pod
    failed = [pod for pod in last_try.values() if pod["status"].get("phase") == "Failed"]
    failed.sort(key=lambda pod: _state(pod).get("finishedAt") or "")
    return [_failure(pod) for pod in failed]


def _step(pod: Object) -> str:
    """The step's name; that of the pod for KFP's own pods."""
    for container in _containers(pod):
        for variable in container.get("env", []):
            if variable["name"] == STEP_VARIABLE:
                return str(variable["value"])
    return f"of Kubeflow Pipelines, pod {pod['metadata']['name']}"


def _failure(pod: Object) -> dict[str, Any]:
    state, code = _state(pod), _exit_code(pod)
    message = _one_line(state.get("message"))
    if not message and state.get("reason") == "OOMKilled":
        limit = next(map(_memory_limit, _containers(pod)))
        message = f"it used more memory than its limit, {limit}; raise it in compile.resources"
        code = 1
    if not message and (message := _one_line(pod["status"].get("message"))):
        # The node took the pod away.
        code = 1
    killed = " (it was killed)" if code in KILLED else ""
    message = message or f"it ended with exit code {code}{killed}; its log says more"
    return failure_record(_step(pod), message, code)


def _one_line(text: Any) -> str:
    """Join the lines of a text that may be missing."""
    return " ".join(str(text or "").split())


def _exit_code(pod: Object) -> int:
    return int(_state(pod).get("exitCode") or 1)


def _state(pod: Object) -> Object:
    """How the container with the step ended; empty if it never ran."""
    for status in pod["status"].get("containerStatuses", []):
        if status["name"] == _CONTAINER:
            return dict(status.get("state", {}).get("terminated") or {})
    return {}


def _containers(pod: Object) -> Iterator[Object]:
    return (item for item in pod["spec"]["containers"] if item["name"] == _CONTAINER)


def _memory_limit(container: Object) -> str:
    return str(container.get("resources", {}).get("limits", {}).get("memory", "that of its node"))
