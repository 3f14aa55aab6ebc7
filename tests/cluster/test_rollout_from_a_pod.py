"""The compiled pipeline's step `rollout` in a pod of KFP's namespace, with its account's rights."""

import copy
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.runs import read_records

from support.kubectl import answer, new_namespace, remove
from support.kubernetes_cluster import (
    NAMESPACE,
    QUICK,
    REGISTRY,
    get,
    journal,
    served_release,
)
from support.manifests import Object, built, one
from support.step_jobs import USER, Ended, compiled_executor, run_job, step_job

CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"
RUNNER = "pipeline-runner"
# Its Role lacks one right.
LIMITED = "limited-runner"


class Kubeflow(NamedTuple):
    """A namespace as KFP's, with a volume of the registry.

    Attributes:
        namespace: Its name.
        executor: The step in the compiled pipeline.
    """

    namespace: str
    executor: Object

    def roll_out(self, version: int, run: str, account: str) -> Ended:
        """Run the step for a run that has published a release."""
        parameters: dict[str, Any] = {
            "registry": "/registry",
            # KFP hands numbers over as floating-point numbers.
            "version": float(version),
            "server": "",
            "target": "kubernetes",
            "settings": QUICK | {"namespace": NAMESPACE},
            "run_name": run,
            "job_id": f"id-of-{run}",
            "reason": "",
            "may_go_back": False,
        }
        for path in [REGISTRY, *REGISTRY.rglob("*")]:
            os.chown(path, USER, -1)
        return run_job(
            self.namespace, step_job(run, self.executor, account, "registry", parameters)
        )


@pytest.fixture(scope="module")
def kubeflow(publish: Callable[..., int]) -> Iterator[Kubeflow]:
    namespace = new_namespace("kubeflow")
    granted = moved_grants(namespace)
    own = [*kubeflow_objects(namespace), *registry_volume(namespace)]
    try:
        answer("apply", "--filename=-", objects=[*own, *granted, *limited_grants(namespace)])
        yield Kubeflow(namespace, compiled_executor("rollout"))
    finally:
        remove(namespace, own)
        for item in [*granted, *limited_grants(namespace)]:
            name = f"{item['kind']}/{item['metadata']['name']}"
            answer("delete", name, f"--namespace={NAMESPACE}", "--ignore-not-found")


def kubeflow_objects(namespace: str) -> list[Object]:
    """The namespace, where Pod Security is as strict as it can be, and its accounts."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": labels},
        },
        *(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": namespace},
            }
            for name in (RUNNER, LIMITED)
        ),
    ]


def registry_volume(namespace: str) -> list[Object]:
    """The folder that the servers' volume is, for steps that write to it."""
    claim = {"name": "registry", "namespace": namespace}
    spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {
        "capacity": {"storage": "1Gi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": claim,
        "hostPath": {"path": str(REGISTRY)},
    }
    request = {"resources": {"requests": {"storage": "1Gi"}}}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"registry-{namespace}"},
            "spec": spec | volume,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": claim,
            "spec": spec | request,
        },
    ]


def moved_grants(namespace: str) -> list[Object]:
    """What the component pipeline-standalone adds, for another namespace than kubeflow."""
    objects = built("components/pipeline-standalone")
    binding = copy.deepcopy(one(objects, "RoleBinding", "emotion-ai-rollout-standalone"))
    policy = copy.deepcopy(one(objects, "NetworkPolicy", "emotion-ai-pipeline-standalone"))
    for subject in binding["subjects"]:
        assert subject["namespace"] == "kubeflow"
        subject["namespace"] = namespace
    (caller,) = policy["spec"]["ingress"][0]["from"]
    assert caller["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kubeflow"}
    caller["namespaceSelector"]["matchLabels"] = {"kubernetes.io/metadata.name": namespace}
    for item in (binding, policy):
        item["metadata"] |= {
            "namespace": NAMESPACE,
            "name": f"{item['metadata']['name']}-{namespace}",
        }
    return [binding, policy]


def limited_grants(namespace: str) -> list[Object]:
    """The Role of a rollout without the right to make a canary, for the other account."""
    role = copy.deepcopy(one(built("overlays/local"), "Role", "emotion-ai-rollout"))
    name = {"namespace": NAMESPACE, "name": f"limited-{namespace}"}
    role["metadata"] = name
    (jobs,) = [rule for rule in role["rules"] if "jobs" in rule["resources"]]
    jobs["verbs"].remove("create")
    group = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": LIMITED, "namespace": namespace}],
    }
    return [role, binding]


def test_a_missing_right_is_the_message_that_the_pod_ends_with(
    kubeflow: Kubeflow, first_release: int, publish: Callable[..., int]
) -> None:
    serving, version = served_release(), publish(60.0)
    ended = kubeflow.roll_out(version, "limited", LIMITED)
    assert ended.code == 2
    # What KFP's page shows of a pod that failed.
    assert len(ended.message.splitlines()) == 1
    account = f"{kubeflow.namespace}/{LIMITED}"
    what = f"{account} may not create jobs in {NAMESPACE}; write its name and namespace into "
    assert f"{what}k8s/components/pipeline-profile" in ended.message
    assert ended.log.splitlines()[-1] == f"emotion-ai: error (exit code 2): {ended.message}"
    assert "Traceback" not in ended.log
    records = read_records(str(REGISTRY), "limited")
    assert records["rollout"]["outcome"] == "failed"
    assert records["rollout"]["reasons"] == [ended.message]
    assert records["failure"] == {"step": "roll out", "message": ended.message, "exit_code": 2}
    assert served_release() == serving
    assert journal()["phase"] == "done"
    assert not get("jobs", selector=CANARIES)


@pytest.mark.slow
def test_the_step_rolls_out_with_the_account_of_the_pipeline(
    kubeflow: Kubeflow, first_release: int, publish: Callable[..., int]
) -> None:
    serving, version = served_release(), publish(61.0)
    ended = kubeflow.roll_out(version, "from-a-pod", RUNNER)
    assert (ended.code, ended.message) == (0, ""), ended.log
    record = read_records(str(REGISTRY), "from-a-pod")["rollout"]
    assert (record["outcome"], record["previous"]) == ("rolled out", serving)
    assert {endpoint["version"] for endpoint in record["endpoints"]} == {version}
    assert "failure" not in read_records(str(REGISTRY), "from-a-pod")
    assert f"release {version}: " in ended.log
    assert served_release() == read_champion(str(REGISTRY)) == journal()["proven"] == version
    # A retry of the step finds that it is done.
    again = kubeflow.roll_out(version, "from-a-pod-again", RUNNER)
    assert (again.code, again.message) == (0, ""), again.log
    assert read_records(str(REGISTRY), "from-a-pod-again")["rollout"]["outcome"] == "unchanged"
