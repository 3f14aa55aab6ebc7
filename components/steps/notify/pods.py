"""Find which steps of a run ran and which failed, and why, by its pods in Kubeflow Pipelines.

KFP 2.17 tells the exit handler that the run failed, and nothing else. A step that had no time to
say why, because the node ended it for its memory, is found here too.
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from emotion_ai.errors import EmotionAIError, one_line
from emotion_ai.registry.failures import KILLED, STEP_VARIABLE, failure_record

Object = dict[str, Any]

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# KFP's label of all pods of a run, and Argo's name for the container with the step.
_RUN_LABEL = "pipeline/runid"
_CONTAINER = "main"
_PHASES = {"Succeeded": "done", "Failed": "failed", "Running": "running"}
_MAX_LINES = 20
_MAX_LINE = 500


def look_at_pods(job_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return what the run's pods say, as `summarise` takes it.

    Args:
        job_id: KFP's id of the run.

    Returns:
        "failures", the first to fail first, and "timeline"; nothing outside of a cluster, or where
        the pods may not be listed, which is printed.
    """
    if not job_id or "KUBERNETES_SERVICE_HOST" not in os.environ or not _NAMESPACE.exists():
        return {}
    from emotion_ai.rollouts.cluster.api import connect

    try:
        cluster = connect(_NAMESPACE.read_text().strip())
        pods = cluster.list("pods", {_RUN_LABEL: job_id})
    except EmotionAIError as error:
        print(f"the run's pods cannot be listed, so no step is named: {one_line(error)}")
        return {}
    failures = failures_of(pods)
    for failure, pod in zip(failures, _failed(pods), strict=True):
        # Not every account that may list pods may read their logs.
        with contextlib.suppress(EmotionAIError):
            failure["log"] = _last_lines(cluster.log(pod["metadata"]["name"], _CONTAINER))
    return {"failures": failures, "timeline": timeline_of(pods)}


def timeline_of(pods: list[Object]) -> list[dict[str, Any]]:
    """Return the last try of each step, in the order in which they began.

    Steps from KFP's cache have no pod, and the one that asks has not ended.
    """
    own = os.environ.get(STEP_VARIABLE)
    return [
        {
            "step": step,
            "state": _PHASES.get(pod["status"].get("phase", ""), "waiting"),
            "seconds": _seconds(_state(pod)),
        }
        for step, pod in _last_tries(pods).items()
        if _step_variable(pod) and step != own
    ]


def failures_of(pods: list[Object]) -> list[dict[str, Any]]:
    """Return the records of the steps whose last try failed, the first to fail first.

    Args:
        pods: The pods of a run, in the API's JSON form.
    """
    return [_failure(pod) for pod in _failed(pods)]


def _failed(pods: list[Object]) -> list[Object]:
    failed = [pod for pod in _last_tries(pods).values() if pod["status"].get("phase") == "Failed"]
    return sorted(failed, key=lambda pod: _state(pod).get("finishedAt") or "")


def _last_tries(pods: list[Object]) -> dict[str, Object]:
    """The pod of each step's last try, by the step's name, in the order of the first tries."""
    in_order = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
    return {_step(pod): pod for pod in in_order}


def _step(pod: Object) -> str:
    """The step's name; that of the pod for KFP's own pods."""
    return _step_variable(pod) or f"of Kubeflow Pipelines, pod {pod['metadata']['name']}"


def _step_variable(pod: Object) -> str:
    for container in _containers(pod):
        for variable in container.get("env", []):
            if variable["name"] == STEP_VARIABLE:
                return str(variable["value"])
    return ""


def _seconds(state: Object) -> float | None:
    """How long a container ran; None where it has not ended."""
    try:
        began, ended = (datetime.fromisoformat(state[key]) for key in ("startedAt", "finishedAt"))
    except (KeyError, TypeError, ValueError):
        return None
    return (ended - began).total_seconds()


def _last_lines(log: str) -> list[str]:
    lines = [line[:_MAX_LINE] for line in log.splitlines() if line.strip()]
    return lines[-_MAX_LINES:]


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
