"""What is read of the Deployment: what it waits for, as `kubectl rollout status` says it."""

from typing import Any

import pytest

from emotion_ai.rollouts.cluster.deployment import read_deployment

from support.cluster_objects import deployment


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        ({"updatedReplicas": 3, "availableReplicas": 3, "replicas": 3}, ""),
        ({"observedGeneration": 2}, "Kubernetes has not begun with the change yet"),
        ({"updatedReplicas": 1, "replicas": 4}, "1 of 3 pods have the new template"),
        ({"updatedReplicas": 3, "replicas": 4}, "1 pod of the old template is left"),
        ({"updatedReplicas": 3, "replicas": 5}, "2 pods of the old template are left"),
        (
            {"updatedReplicas": 3, "replicas": 3, "availableReplicas": 2},
            "2 of 3 pods are available",
        ),
    ],
)
def test_a_deployment_says_what_it_waits_for(status: dict[str, Any], progress: str) -> None:
    body = deployment(7, 5, replicas=3)
    body["status"] |= status
    read = read_deployment(body)
    assert read.progress == progress
    assert read.is_complete is (progress == "")


def test_a_new_deployment_without_a_status_is_not_complete() -> None:
    body = deployment(None, 1)
    del body["status"]
    assert read_deployment(body).progress == "Kubernetes has not begun with the change yet"
