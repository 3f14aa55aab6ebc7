"""kubectl on the cluster of the tests, and objects moved into a namespace of a test's own."""

import copy
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

Object = dict[str, Any]

KUBECTL = str(Path(sys.executable).with_name("kubectl"))
_CLUSTER_WIDE = {
    "Namespace",
    "PersistentVolume",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def kubectl(
    *arguments: str, account: str = "", objects: list[Object] | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run kubectl to its end, whatever that is.

    Args:
        arguments: The command line.
        account: Whose rights to use; "" are the administrator's.
        objects: What `-f -` reads.
        timeout: Seconds.
    """
    identity = [f"--as={account}"] if account else []
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}) if objects else None
    command = [KUBECTL, "--request-timeout=30s", *identity, *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout)


def answer(*arguments: str, **options: Any) -> str:
    """What kubectl prints; a test that gets an error fails."""
    result = kubectl(*arguments, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def read(*arguments: str, **options: Any) -> Any:
    """An object as JSON."""
    return json.loads(answer(*arguments, "--output=json", **options))


def require_cluster() -> None:
    """Skip where no cluster is."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster: KUBECONFIG is not set")
    result = kubectl("get", "--raw=/readyz", timeout=60)
    if result.returncode:
        pytest.skip(f"no cluster answers: {result.stderr.strip()}")


def new_namespace(prefix: str) -> str:
    """Return a name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:6]}"


def moved(objects: list[Object], namespace: str) -> list[Object]:
    """Copies of objects in a namespace; what belongs to the whole cluster carries its name."""
    return [_moved(copy.deepcopy(item), namespace) for item in objects]


def _moved(item: Object, namespace: str) -> Object:
    metadata, kind = item["metadata"], item["kind"]
    if kind == "Namespace":
        metadata["name"] = namespace
    elif kind not in _CLUSTER_WIDE:
        metadata["namespace"] = namespace
    else:
        metadata["name"] += f"-{namespace}"
    if kind == "ValidatingAdmissionPolicy":
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        item["spec"]["matchConstraints"]["namespaceSelector"] = selector
    if kind == "ValidatingAdmissionPolicyBinding":
        item["spec"]["policyName"] += f"-{namespace}"
    return item


def remove(namespace: str, objects: list[Object]) -> None:
    """Remove a namespace, and what of these objects belongs to the whole cluster."""
    kubectl("delete", "namespace", namespace, "--wait=false")
    names = [f"{o['kind']}/{o['metadata']['name']}" for o in objects if o["kind"] in _CLUSTER_WIDE]
    for name in names:
        kubectl("delete", name, "--ignore-not-found", "--wait=false")
