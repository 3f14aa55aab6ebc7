"""The admission policy on a real API server: what a rollout may change, and nothing else."""

from typing import Any

import pytest

from emotion_ai.rollouts.cluster.canary import canary_job
from emotion_ai.rollouts.cluster.deployment import release_patch
from emotion_ai.rollouts.settings import RolloutSettings

from support.installed_manifests import FOREIGN_IMAGE, POD, Installed, at, foreign_job, read_served
from support.manifests import Object

pytestmark = pytest.mark.cluster

META = "/spec/template/metadata"
ENV = f"{POD}/initContainers/0/env"
# A path of `with_changes`.
TEMPLATE = "spec__template__spec__"


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


def canary(there: Installed, release: int = 7) -> Object:
    settings = RolloutSettings()
    return canary_job("emotion-ai-canary-7-abc12", there.deployment, release, "d" * 64, settings)


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
