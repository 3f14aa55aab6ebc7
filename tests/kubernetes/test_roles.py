"""The rights in k8s/ are those of the tables in its README, and no others."""

import re

import pytest

from emotion_ai.rollouts.cluster.rights import rollout_rights

from support.manifests import FOLDER, Object, built, one

Right = tuple[str, str, str, str]

# (API group, resource, verb, name of the one object or "")
ROLLOUT: set[Right] = {
    *(("apps", "deployments", verb, "emotion-ai") for verb in ("get", "patch")),
    ("apps", "replicasets", "list", ""),
    *(("batch", "jobs", verb, "") for verb in ("create", "get", "list", "delete")),
    *(("", "pods", verb, "") for verb in ("get", "list", "delete")),
    ("", "pods/log", "get", ""),
    ("", "pods/status", "patch", ""),
    ("discovery.k8s.io", "endpointslices", "list", ""),
    *(("coordination.k8s.io", "leases", verb, "emotion-ai-rollout") for verb in ("get", "update")),
    ("", "events", "create", ""),
}
OPERATOR = {("", "pods/portforward", "get", ""), ("", "pods/portforward", "create", "")}


def rights(role: Object) -> list[Right]:
    return [
        (group, resource, verb, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    ]


def readme_rights() -> set[Right]:
    text = (FOLDER / "README.md").read_text().partition("## What a rollout may do")[2]
    row = r"^\| `([a-z.0-9]+)` \| `([a-z/]+)` \| ([a-z, ]+) \| (?:`([a-z-]+)`)?"
    found: set[Right] = set()
    for group, resource, verbs, name in re.findall(row, text, re.MULTILINE):
        group = "" if group == "core" else group
        found |= {(group, resource, verb, name) for verb in verbs.split(", ")}
    return found


@pytest.mark.parametrize("name", ["overlays/local", "overlays/gke"])
def test_roles_grant_exactly_the_table(name: str) -> None:
    for role, expected in [("rollout", ROLLOUT), ("operator", ROLLOUT | OPERATOR)]:
        granted = rights(one(built(name), "Role", f"emotion-ai-{role}"))
        assert len(granted) == len(set(granted))
        assert set(granted) == expected


def test_a_rollout_asks_for_the_same_rights() -> None:
    assert set(rollout_rights("emotion-ai")) == ROLLOUT


def test_the_readme_has_the_same_table() -> None:
    assert readme_rights() == ROLLOUT


@pytest.mark.parametrize("name", ["overlays/local", "overlays/gke"])
def test_nothing_is_granted_in_the_whole_cluster(name: str) -> None:
    kinds = {item["kind"] for item in built(name)}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("component", ["pipeline-standalone", "pipeline-profile"])
def test_the_pipelines_accounts_get_the_rollout_role_alone(component: str) -> None:
    bindings = [o for o in built(f"components/{component}") if o["kind"] == "RoleBinding"]
    (binding,) = bindings
    assert binding["metadata"]["namespace"] == "emotion-ai"
    assert binding["roleRef"]["name"] == "emotion-ai-rollout"
    assert all(subject["kind"] == "ServiceAccount" for subject in binding["subjects"])
    assert all(subject["namespace"].startswith("kubeflow") for subject in binding["subjects"])
