"""Objects of an installation as the API server answers with them, and an API server of such."""

from typing import Any

from emotion_ai.rollouts.cluster.api import Cluster, Response
from emotion_ai.rollouts.cluster.journal import Journal, Outcome, journal_annotation

Object = dict[str, Any]

_UID = "deployment-uid"
_LABELS = {
    "app.kubernetes.io/name": "emotion-ai",
    "app.kubernetes.io/component": "serving",
    "emotion-ai.dev/track": "stable",
}


def deployment(
    release: int | None, revision: int, *, replicas: int = 2, updated: int | None = None, **env: str
) -> Object:
    """A Deployment; `updated` pods of the newest template, None for all."""
    updated = replicas if updated is None else updated
    complete = {"type": "Progressing", "lastUpdateTime": "2026-11-25T12:03:05Z"}
    return {
        "metadata": {
            "name": "emotion-ai",
            "uid": _UID,
            "resourceVersion": "7",
            "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"replicas": replicas, "template": _template(release, **env)},
        "status": {
            "observedGeneration": 3,
            "replicas": replicas,
            "updatedReplicas": updated,
            "availableReplicas": updated,
            "conditions": [complete],
        },
    }


def replica_set(release: int | None, revision: int, replicas: int, cause: str = "") -> Object:
    """A ReplicaSet of the Deployment."""
    return {
        "metadata": {
            "name": f"emotion-ai-{revision}",
            "labels": _LABELS,
            "annotations": {
                "deployment.kubernetes.io/revision": str(revision),
                "kubernetes.io/change-cause": cause,
            },
            "ownerReferences": [{"kind": "Deployment", "name": "emotion-ai", "uid": _UID}],
        },
        "spec": {"replicas": replicas, "template": _template(release)},
    }


def stable_pod(name: str, release: int, **status: Any) -> Object:
    """A pod of the Deployment."""
    labels = _LABELS | {"emotion-ai.dev/release": str(release)}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": "node-1"},
        "status": status,
    }


def canary(release: int, *, proven: bool) -> tuple[Object, Object]:
    """A canary's Job and its pod."""
    labels = _LABELS | {
        "emotion-ai.dev/track": "canary",
        "emotion-ai.dev/release": str(release),
    }
    name = f"emotion-ai-canary-{release}-abcde"
    job = {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": "2026-11-25T12:00:00Z"},
        "spec": {"activeDeadlineSeconds": 1200},
        "status": {"startTime": "2026-11-25T12:00:00Z"},
    }
    gate = {"type": "emotion-ai.dev/proven", "status": str(proven)}
    pod = {
        "metadata": {
            "name": f"{name}-pod",
            "labels": labels | {"batch.kubernetes.io/job-name": name},
        },
        "spec": {"nodeName": "node-2"},
        "status": {"conditions": [gate]},
    }
    return job, pod


def lease(journal: Journal, holder: str = "", renewed: str = "") -> Object:
    """The Lease with its journal."""
    spec: Object = {"holderIdentity": holder} if holder else {}
    spec |= {"renewTime": renewed} if renewed else {}
    return {
        "metadata": {"name": "emotion-ai-rollout", "annotations": journal_annotation(journal)},
        "spec": spec,
    }


def journal_of(proven: int, *outcomes: tuple[int, str, str], **fields: Any) -> Journal:
    """A journal with outcomes (release, run, reason)."""
    kept = [
        Outcome(digest=f"{release}" * 8, run=run, release=release, reason=reason)
        for release, run, reason in outcomes
    ]
    return Journal(proven=proven, outcomes=tuple(kept), **fields)


def endpoints(*pods: Object) -> Object:
    """An EndpointSlice in which these pods are ready."""
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": "emotion-ai-pods"}},
        "endpoints": [
            {
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
            }
            for pod in pods
        ],
    }


def cluster_of(**objects: list[Object]) -> Cluster:
    """A namespace that can only be read, with objects by the plural of their kind.

    `forbidden` names kinds that the account must not read.
    """
    forbidden = {str(kind) for kind in objects.pop("forbidden", [])}

    def transport(method: str, path: str, query: Any, content_type: str, body: Any) -> Response:
        assert method == "GET"
        kind, _, name = path.partition("/namespaces/emotion-ai/")[2].partition("/")
        if kind in forbidden:
            return Response(403, None, f"{kind} is forbidden")
        found = objects.get(kind, [])
        if name:
            named = [body for body in found if body["metadata"]["name"] == name]
            return Response(200, named[0]) if named else Response(404, None, f"{name} not found")
        wanted = dict(pair.split("=") for pair in query["labelSelector"].split(","))
        items = [b for b in found if wanted.items() <= b["metadata"]["labels"].items()]
        return Response(200, {"items": items})

    return Cluster(transport, "emotion-ai", "https://cluster.example")


def _template(release: int | None, registry: str = "gs://models") -> Object:
    variables = [{"name": "REGISTRY", "value": registry}]
    variables += [] if release is None else [{"name": "RELEASE", "value": str(release)}]
    labels = _LABELS | ({} if release is None else {"emotion-ai.dev/release": str(release)})
    return {
        "metadata": {"labels": labels},
        "spec": {
            "initContainers": [{"name": "release", "env": variables}],
            "containers": [{"name": "server"}],
        },
    }
