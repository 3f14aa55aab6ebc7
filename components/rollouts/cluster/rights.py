"""The rights that a rollout needs in its namespace, asked for before anything changes."""

from typing import NamedTuple

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Cluster
from emotion_ai.rollouts.cluster.names import LEASE


class Right(NamedTuple):
    """A verb on a resource; `name` is the one object it is needed for, "" for any."""

    group: str
    resource: str
    verb: str
    name: str = ""


def rollout_rights(deployment: str) -> list[Right]:
    """Return the rights of a rollout; the Role emotion-ai-rollout grants these and no others."""
    return [
        Right("apps", "deployments", "get", deployment),
        Right("apps", "deployments", "patch", deployment),
        Right("apps", "replicasets", "list"),
        Right("batch", "jobs", "create"),
        Right("batch", "jobs", "get"),
        Right("batch", "jobs", "list"),
        Right("batch", "jobs", "delete"),
        Right("", "pods", "get"),
        Right("", "pods", "list"),
        Right("", "pods", "delete"),
        Right("", "pods/log", "get"),
        Right("", "pods/status", "patch"),
        Right("discovery.k8s.io", "endpointslices", "list"),
        Right("coordination.k8s.io", "leases", "get", LEASE),
        Right("coordination.k8s.io", "leases", "update", LEASE),
        Right("", "events", "create"),
    ]


# Forwarding a port is a GET that becomes a connection.
_OUTSIDE = [Right("", "pods/portforward", "get"), Right("", "pods/portforward", "create")]


def check_rights(cluster: Cluster, deployment: str) -> None:
    """Ask the API server whether this account may do what a rollout does.

    Raises:
        InputError: Rights are missing; names all of them and the manifest that grants them.
        Unavailable: The API server does not answer.
    """
    needed = rollout_rights(deployment) + ([] if cluster.is_inside else _OUTSIDE)
    missing = [right for right in needed if not _is_allowed(cluster, right)]
    if not missing:
        return
    review = cluster.review("authentication.k8s.io/v1", "selfsubjectreviews", {})
    account = str(review.get("userInfo", {}).get("username", "this account"))
    verbs: dict[str, list[str]] = {}
    for right in missing:
        verbs.setdefault(right.resource, []).append(right.verb)
    what = ", ".join(f"{' and '.join(names)} {resource}" for resource, names in verbs.items())
    raise InputError(
        f"cluster {cluster.address}: {_short_name(account)} may not {what} in {cluster.namespace}; "
        f"{_grant(account, is_inside=cluster.is_inside)}"
    )


def _is_allowed(cluster: Cluster, right: Right) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "namespace": cluster.namespace,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "verb": right.verb,
        "name": right.name,
    }
    status = cluster.review(
        "authorization.k8s.io/v1", "selfsubjectaccessreviews", {"resourceAttributes": attributes}
    )
    return bool(status.get("allowed"))


def _short_name(account: str) -> str:
    return account.removeprefix("system:serviceaccount:").replace(":", "/")


def _grant(account: str, *, is_inside: bool) -> str:
    if not is_inside:
        return "bind the account to the Role emotion-ai-operator of k8s/base"
    if account.startswith("system:serviceaccount:kubeflow:"):
        return "apply k8s/components/pipeline-standalone, which names the accounts of pipelines"
    if account.startswith("system:serviceaccount:"):
        words = "namespace" if account.endswith(":default-editor") else "name and namespace"
        return f"write its {words} into k8s/components/pipeline-profile, and apply that"
    return "bind the account to the Role emotion-ai-operator of k8s/base"
