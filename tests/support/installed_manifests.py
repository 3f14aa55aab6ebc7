"""The overlay local and the admission policy on a cluster, to ask what its API server takes."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from emotion_ai.rollouts.cluster.deployment import Deployment, read_deployment

from support.kubectl import answer, kubectl, moved, new_namespace, read, remove
from support.manifests import Object, built

RUNNER = "system:serviceaccount:kubeflow:pipeline-runner"
SERVED = ("overlays/local", "components/admission-policy", "components/pipeline-standalone")
# Where a patch finds the pods' spec.
POD = "/spec/template/spec"


def at(path: str, value: Any, op: str = "replace") -> list[Any]:
    """A JSON patch of one value."""
    return [{"op": op, "path": path, "value": value}]


FOREIGN_IMAGE = at(f"{POD}/containers/0/image", "miner:1")


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


def foreign_job() -> Object:
    """A Job that is no canary."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "miner", "image": "miner:1"}]}
    spec = {"template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other"}, "spec": spec}


@contextlib.contextmanager
def installed_manifests() -> Iterator[Installed]:
    """Install them in the block, in a new namespace; the policy is in force."""
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
