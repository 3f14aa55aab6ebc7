"""The manifests in k8s/ on a real API server: valid, granted and refused as they say."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from emotion_ai.rollouts.cluster.canary import canary_job
from emotion_ai.rollouts.cluster.deployment import Deployment, read_deployment, release_patch
from emotion_ai.rollouts.cluster.rights import Right, rollout_rights
from emotion_ai.rollouts.settings import RolloutSettings

from support.custom_resources import SCHEMAS
from support.kubectl import answer, kubectl, moved, new_namespace, read, remove, require_cluster
from support.manifests import Object, all_objects, built, one

pytestmark = pytest.mark.cluster

RUNNER = "system:serviceaccount:kubeflow:pipeline-runner"
BARE = "system:serviceaccount:kubeflow:nobody"
SERVED = ("overlays/local", "components/admission-policy", "components/pipeline-standalone")


class Installed(NamedTuple):
    """The overlay local with the admission policy, in a namespace of its own."""

    namespace: str
    deployment: Deployment

    def patch(self, patch: Any, kind: str, account: str = RUNNER) -> str:
        """Why a patch of the Deployment is refused; "" if it is not. Nothing is changed."""
        result = kubectl(
            *("patch", "deployment", "emotion-ai", f"--namespace={self.namespace}"),
            *("--dry-run=server", f"--type={kind}", f"--patch={json.dumps(patch)}"),
            account=account,
        )
        assert bool(result.stderr) == bool(result.returncode), result.stderr
        return result.stderr

    def create(self, item: Object, account: str = RUNNER) -> str:
        """Why an object is refused, or what it is warned of; "" otherwise. Nothing is made."""
        result = kubectl(
            *("create", "--dry-run=server", f"--namespace={self.namespace}", "--filename=-"),
            account=account,
            objects=[item],
        )
        return result.stderr


def read_served(namespace: str) -> Deployment:
    """The Deployment as it is now."""
    return read_deployment(read("get", "deployment", "emotion-ai", f"--namespace={namespace}"))


def served_objects() -> list[Object]:
    """The objects of the builds together, each once."""
    found = {}
    for name in reversed(SERVED):
        for item in built(name):
            found[item["kind"], item["metadata"]["name"]] = item
    # Namespaces and accounts come before what is in them.
    return sorted(found.values(), key=lambda item: item["kind"] != "Namespace")


def keepers() -> list[Object]:
    """A policy that matches nothing and is never removed.

    Once no policy's parameters are Deployments, an API server older than 1.37 finds none for the
    next policy either (kubernetes#130887); so it would be for the next run of these tests.
    """
    names = {"metadata": {"name": "emotion-ai-tests-keep-parameters"}}
    version = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    policy = {
        "paramKind": {"apiVersion": "apps/v1", "kind": "Deployment"},
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["nothing"]}]},
        "validations": [{"expression": "true"}],
    }
    binding = {
        "policyName": "emotion-ai-tests-keep-parameters",
        "validationActions": ["Deny"],
        "paramRef": {"name": "emotion-ai", "parameterNotFoundAction": "Allow"},
    }
    return [
        {**version, **names, "kind": "ValidatingAdmissionPolicy", "spec": policy},
        {**version, **names, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    require_cluster()
    namespace = new_namespace("manifests")
    objects = moved(served_objects(), namespace)
    try:
        answer("apply", "--filename=-", objects=[*keepers(), *objects])
        there = Installed(namespace, read_served(namespace))
        # A new policy takes the API server a moment.
        deadline, refused = time.monotonic() + 60, ""
        while not (
            "no container" in there.patch(FOREIGN_IMAGE, "json")
            and "begins with" in (refused := there.create(foreign_job()))
        ):
            # "no params found" stays until the API server is restarted; see `keepers`.
            assert time.monotonic() < deadline, f"the policies are not in force: {refused}"
            time.sleep(0.5)
        yield there
    finally:
        remove(namespace, objects)


def canary(there: Installed, release: int = 7) -> Object:
    settings = RolloutSettings()
    return canary_job("emotion-ai-canary-7-abc12", there.deployment, release, "d" * 64, settings)


def foreign_job() -> Object:
    pod = {"restartPolicy": "Never", "containers": [{"name": "miner", "image": "miner:1"}]}
    spec = {"template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other"}, "spec": spec}


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


@pytest.mark.parametrize("release", [7, None])
def test_a_rollouts_own_patch_is_admitted(installed: Installed, release: int | None) -> None:
    # The patch is for one version of the Deployment, and its controller may change the status.
    for _ in range(10):
        there = read_served(installed.namespace)
        digest = "d" * 64 if release else ""
        patch = release_patch(there, release=release, digest=digest, cause="because", holder="h")
        refused = installed.patch(patch, "strategic")
        if "the object has been modified" not in refused:
            break
    assert refused == ""


POD = "/spec/template/spec"
META = "/spec/template/metadata"


def at(path: str, value: Any, op: str = "replace") -> list[Any]:
    return [{"op": op, "path": path, "value": value}]


FOREIGN_IMAGE = at(f"{POD}/containers/0/image", "miner:1")
ENV = f"{POD}/initContainers/0/env"


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (FOREIGN_IMAGE, "no container"),
        (at(f"{POD}/containers/0/args/-", "--flagfile=/tmp/x", "add"), "no container"),
        (at(f"{POD}/containers/0/command", ["sh"], "add"), "no container"),
        (at(f"{POD}/hostNetwork", True, "add"), "no container"),
        (at(f"{POD}/automountServiceAccountToken", True), "no container"),
        (at(f"{POD}/serviceAccountName", "default"), "no container"),
        (at(f"{POD}/volumes/-", {"name": "x", "emptyDir": {}}, "add"), "no container"),
        ([{"op": "remove", "path": f"{POD}/securityContext/seccompProfile"}], "no container"),
        ([{"op": "remove", "path": f"{POD}/topologySpreadConstraints"}], "no container"),
        (at(f"{POD}/nodeSelector", {"a": "b"}, "add"), "no container"),
        (at(f"{POD}/initContainers/0/image", "miner:1"), "init container"),
        (at(f"{POD}/initContainers/0/args", ["sh"]), "init container"),
        ([{"op": "remove", "path": f"{POD}/initContainers"}], "init container"),
        (at(f"{ENV}/0/value", "gs://other"), "init container"),
        (at(f"{ENV}/-", {"name": "PYTHONPATH", "value": "/tmp"}, "add"), "init container"),
        (at(f"{ENV}/-", {"name": "RELEASE", "value": "latest"}, "add"), "version's number"),
        (at(f"{META}/labels/app.kubernetes.io~1component", "other"), "no label"),
        (at(f"{META}/labels/more", "x", "add"), "no label"),
        (at(f"{META}/annotations", {"sidecar.istio.io/inject": "true"}, "add"), "no annotation"),
        (at("/spec/replicas", 50), "nothing in the Deployment's spec"),
        (at("/spec/paused", True, "add"), "nothing in the Deployment's spec"),
        (at("/spec/revisionHistoryLimit", 0), "nothing in the Deployment's spec"),
        (at("/metadata/finalizers", ["example.com/stay"], "add"), "no finalizer"),
    ],
)
def test_a_rollout_changes_the_release_and_nothing_else(
    installed: Installed, patch: list[Any], reason: str
) -> None:
    refused = installed.patch(patch, "json")
    assert "ValidatingAdmissionPolicy" in refused
    assert reason in refused


def test_a_secret_is_no_release(installed: Installed) -> None:
    source = {"secretKeyRef": {"name": "other", "key": "key"}}
    patch = at(f"{ENV}/-", {"name": "RELEASE", "valueFrom": source}, "add")
    assert "version's number" in installed.patch(patch, "json")


@pytest.mark.parametrize("path", [f"{POD}/containers/0/image", "/spec/revisionHistoryLimit"])
def test_the_administrator_changes_what_they_like(installed: Installed, path: str) -> None:
    value = "tensorflow/serving:2.21.0" if path.endswith("image") else 5
    assert installed.patch(at(path, value), "json", account="") == ""


def test_a_canary_is_admitted(installed: Installed) -> None:
    assert installed.create(canary(installed)) == ""


def with_changes(job: Object, **changes: Any) -> Object:
    """The Job with values at paths like spec__template__spec__hostNetwork; None removes."""
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = job
        for key in parents:
            place = place[int(key) if key.isdecimal() else key]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return job


TEMPLATE = "spec__template__spec__"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metadata__name": "other"}, "begins with emotion-ai-canary-"),
        ({"spec__activeDeadlineSeconds": 3601}, "ends within 3600 s"),
        ({"spec__activeDeadlineSeconds": None}, "ends within 3600 s"),
        ({"spec__parallelism": 2, "spec__completions": 2}, "one pod"),
        ({"spec__backoffLimit": 3}, "one pod"),
        ({f"{TEMPLATE}readinessGates": None}, "readiness gate"),
        ({f"{TEMPLATE}containers__0__image": "miner:1"}, "has the containers"),
        ({f"{TEMPLATE}containers__0__command": ["sh"]}, "has the containers"),
        ({f"{TEMPLATE}serviceAccountName": "default"}, "has the containers"),
        ({f"{TEMPLATE}tolerations": [{"operator": "Exists"}]}, "has the containers"),
        ({f"{TEMPLATE}topologySpreadConstraints": None}, "has the containers"),
        ({f"{TEMPLATE}initContainers__0__image": "miner:1"}, "init container"),
        ({f"{TEMPLATE}initContainers__0__env__0__value": "gs://other"}, "init container"),
        ({f"{TEMPLATE}initContainers__0__env__1__value": "latest"}, "version's number"),
        ({"spec__template__metadata__annotations": {"inject": "yes"}}, "no annotation"),
    ],
)
def test_a_canary_differs_in_the_release_alone(
    installed: Installed, changes: dict[str, Any], reason: str
) -> None:
    refused = installed.create(with_changes(canary(installed), **changes))
    assert "ValidatingAdmissionPolicy" in refused
    assert reason in refused


def test_a_canary_is_never_of_the_stable_track(installed: Installed) -> None:
    job = canary(installed)
    job["spec"]["template"]["metadata"]["labels"]["emotion-ai.dev/track"] = "stable"
    assert "emotion-ai.dev/track is canary" in installed.create(job)


def test_other_jobs_of_a_rollout_are_refused(installed: Installed) -> None:
    assert "begins with emotion-ai-canary-" in installed.create(foreign_job())


def test_whoever_may_make_pods_may_make_other_jobs(installed: Installed) -> None:
    job = foreign_job()
    job["spec"]["template"]["spec"] = canary(installed)["spec"]["template"]["spec"]
    assert installed.create(job, account="") == ""
