"""Which step of a run failed, by the run's pods as Kubernetes lists them."""

from pathlib import Path
from typing import Any

import pytest

from emotion_ai.errors import Unavailable
from emotion_ai.steps.notify import pods as pods_module
from emotion_ai.steps.notify.pods import failures_of, look_at_pods, timeline_of


def pod(
    step: str,
    created: str,
    code: int,
    *,
    message: str = "",
    reason: str = "Error",
    pod_message: str = "",
) -> dict[str, Any]:
    """A pod of Argo: the step's container, and one of Argo's beside it."""
    ended: dict[str, Any] = {"exitCode": code, "reason": reason, "finishedAt": created}
    if message:
        ended["message"] = message
    status: dict[str, Any] = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {"name": "wait", "state": {"terminated": {"exitCode": 0}}},
            {"name": "main", "state": {"terminated": ended}},
        ],
    }
    if pod_message:
        status["message"] = pod_message
    limits = {"limits": {"memory": "4G"}}
    variables = [{"name": "POD", "valueFrom": {}}, {"name": "EMOTION_AI_STEP", "value": step}]
    return {
        "metadata": {"name": f"pod-{created}", "creationTimestamp": created},
        "spec": {
            "containers": [
                {"name": "wait"},
                {"name": "main", "env": variables if step else [], "resources": limits},
            ]
        },
        "status": status,
    }


def test_reason_is_what_the_step_said() -> None:
    failed = pod("ingest keypoints", "10:01", 2, message="k.csv: no column Image\n")
    assert failures_of([pod("resolve sources", "10:00", 0), failed]) == [
        {"step": "ingest keypoints", "message": "k.csv: no column Image", "exit_code": 2}
    ]


def test_last_try_of_a_step_counts() -> None:
    first = pod("train keypoints", "10:02", 1, message="no answer")
    assert failures_of([pod("train keypoints", "10:04", 0), first]) == []
    second = pod("train keypoints", "10:04", 1, message="the disk is full")
    (failure,) = failures_of([second, first])
    assert failure["message"] == "the disk is full"


def test_first_step_to_fail_comes_first() -> None:
    failed = [
        pod("train expression", "10:09", 1, message="later"),
        pod("train keypoints", "10:02", 1, message="sooner"),
    ]
    assert [failure["message"] for failure in failures_of(failed)] == ["sooner", "later"]


@pytest.mark.parametrize(
    ("ended", "message", "code"),
    [
        (
            {"reason": "OOMKilled", "code": 137},
            "it used more memory than its limit, 4G; raise it in compile.resources",
            1,
        ),
        (
            {"code": 137, "pod_message": "The node was low on resource: memory."},
            "The node was low on resource: memory.",
            1,
        ),
        ({"code": 143}, "it ended with exit code 143 (it was killed); its log says more", 143),
        ({"code": 3}, "it ended with exit code 3; its log says more", 3),
    ],
)
def test_step_that_could_not_say_why(ended: dict[str, Any], message: str, code: int) -> None:
    (failure,) = failures_of([pod("evaluate", "10:05", **ended)])
    assert failure == {"step": "evaluate", "message": message, "exit_code": code}


def test_pod_that_never_ran_and_pods_of_kfp_itself() -> None:
    lost = pod("", "10:05", 1)
    lost["status"] = {"phase": "Failed", "message": "Pod was rejected: Node affinity"}
    (failure,) = failures_of([lost])
    assert failure["step"] == "of Kubeflow Pipelines, pod pod-10:05"
    assert failure["message"] == "Pod was rejected: Node affinity"


def test_outside_of_a_cluster_no_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert look_at_pods("6f1c") == {}


def test_timeline_has_the_last_try_of_each_step_and_how_long_it_took() -> None:
    pods = [
        pod("resolve sources", "2026-11-26T03:00:09Z", 0),
        pod("train keypoints", "2026-11-26T03:05:00Z", 1),
        pod("train keypoints", "2026-11-26T03:09:00Z", 0),
        pod("", "2026-11-26T03:00:00Z", 0),
    ]
    for each in pods:
        ended = each["status"]["containerStatuses"][1]["state"]["terminated"]
        ended["startedAt"] = "2026-11-26T03:00:00Z"
    pods[0]["status"] |= {"phase": "Running", "containerStatuses": []}
    assert timeline_of(pods) == [
        {"step": "resolve sources", "state": "running", "seconds": None},
        {"step": "train keypoints", "state": "done", "seconds": 540.0},
    ]


@pytest.mark.parametrize("may_read_logs", [True, False], ids=["logs", "no logs"])
def test_failures_come_with_the_end_of_the_log(
    may_read_logs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cluster:
        def list(self, kind: str, labels: dict[str, str]) -> list[dict[str, Any]]:
            assert (kind, labels) == ("pods", {"pipeline/runid": "6f1c"})
            return [pod("push", "10:01", 1, message="full"), pod("evaluate", "10:00", 0)]

        def log(self, name: str, container: str) -> str:
            assert (name, container) == ("pod-10:01", "main")
            if not may_read_logs:
                raise Unavailable("pods/log is forbidden")
            return "\n\n".join(f"line {number} {'x' * 600}" for number in range(30))

    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(pods_module, "_NAMESPACE", tmp_path / "namespace")
    (tmp_path / "namespace").write_text("kubeflow\n")
    monkeypatch.setattr("emotion_ai.rollouts.cluster.api.connect", lambda namespace: Cluster())
    (failure,) = look_at_pods("6f1c")["failures"]
    assert (failure["step"], failure["message"]) == ("push", "full")
    log = failure.get("log", [])
    assert [line.split()[1] for line in log] == [str(n) for n in range(10, 30) if may_read_logs]
    assert max(map(len, log), default=500) == 500
