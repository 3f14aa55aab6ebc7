"""The manifests in k8s/ on a real API server: valid, admitted and granted as they say."""

import json
from typing import Any

import pytest

from emotion_ai.rollouts.cluster.rights import Right, rollout_rights

from support.custom_resources import SCHEMAS
from support.installed_manifests import RUNNER, Installed
from support.kubectl import kubectl, moved, read
from support.manifests import Object, all_objects, built, one

pytestmark = pytest.mark.cluster

BARE = "system:serviceaccount:kubeflow:nobody"


def distinct_objects() -> list[Object]:
    """The objects of all builds, each once."""
    found = {json.dumps(item, sort_keys=True): item for _, item in all_objects()}
    return [
        item
        for item in found.values()
        # The namespace is there; custom resources need their projects.
        if item["kind"] != "Namespace" and (item["apiVersion"], item["kind"]) not in SCHEMAS
    ]


def test_the_api_server_takes_every_object(installed: Installed) -> None:
    objects = distinct_objects()
    assert sum(item["kind"] == "Deployment" for item in objects) > 5
    result = kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "--filename=-"),
        objects=moved(objects, installed.namespace),
    )
    assert result.returncode == 0, result.stderr
    # Pod Security warns of a Deployment whose pods it would refuse.
    assert result.stderr == ""


def pod_of(template: Object, **changed: Any) -> Object:
    spec = {**template["spec"], **changed}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}


@pytest.mark.parametrize("name", ["overlays/local", "overlays/gke", "components/gpu"])
def test_pod_security_admits_the_pods(installed: Installed, name: str) -> None:
    template = one(built(name), "Deployment")["spec"]["template"]
    assert installed.create(pod_of(template), account="") == ""


def test_pod_security_refuses_what_it_is_not_told(installed: Installed) -> None:
    template = installed.deployment.template
    refused = installed.create(pod_of(template, hostNetwork=True), account="")
    assert 'violates PodSecurity "restricted' in refused


def rights_of(account: str, namespace: str) -> set[Right]:
    """What `kubectl auth can-i --list` is made of."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    status = read("create", "--filename=-", account=account, objects=[review])["status"]
    assert not status["incomplete"]
    return {
        Right(group, resource, verb, name)
        for rule in status["resourceRules"]
        for group in rule.get("apiGroups", [""])
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
    }


def test_the_pipelines_account_has_the_tables_rights(installed: Installed) -> None:
    bare = rights_of(BARE, installed.namespace)
    granted = rights_of(RUNNER, installed.namespace)
    assert bare < granted
    assert granted - bare == set(rollout_rights("emotion-ai"))


def test_the_pipelines_account_has_no_rights_elsewhere(installed: Installed) -> None:
    assert rights_of(RUNNER, "default") == rights_of(BARE, "default")


def test_the_pods_account_has_no_rights(installed: Installed) -> None:
    account = f"system:serviceaccount:{installed.namespace}:emotion-ai-server"
    assert rights_of(account, installed.namespace) == rights_of(BARE, installed.namespace)
