"""Events on the Deployment: `kubectl describe deployment` tells them as the rollout's story."""

import contextlib
import uuid
from datetime import UTC, datetime

from emotion_ai.errors import EmotionAIError
from emotion_ai.rollouts.cluster.api import Cluster
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.names import FIELD_MANAGER

_MAX_MESSAGE = 1000
_WARNINGS = frozenset({"CanaryFailed", "RolledBack", "Interrupted", "JudgedBadBefore"})


def record_event(cluster: Cluster, deployment: Deployment, reason: str, message: str) -> None:
    """Record an event; one that cannot be recorded stops no rollout.

    Args:
        cluster: The namespace.
        deployment: What the event is about.
        reason: One word, such as CanaryProven.
        message: One sentence.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{deployment.name}.{uuid.uuid4().hex[:16]}",
            "namespace": cluster.namespace,
        },
        "involvedObject": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": deployment.name,
            "namespace": cluster.namespace,
            "uid": deployment.uid,
        },
        "reason": reason,
        "message": message[:_MAX_MESSAGE],
        "type": "Warning" if reason in _WARNINGS else "Normal",
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    with contextlib.suppress(EmotionAIError):
        cluster.create("events", body)
