"""Model servers in a namespace of their own, with their registry in a bucket that can be away."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.cloud_storage import StoppableStorage, free_port
from support.cluster_installation import load_images
from support.kubectl import answer, moved, new_namespace, remove
from support.kubernetes_cluster import ROOT, kubectl, start_rollout, wait_for
from support.manifests import Object, load_script, one, parse
from support.tiny_saved_model import publish_tiny_release

BUCKET_REGISTRY = "gs://models/emotion-ai"
_IMAGES = "localhost/emotion-ai"
SERVERS = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=stable"
CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"


class BucketServers(NamedTuple):
    """An installation whose registry is in a bucket.

    Attributes:
        namespace: Where it is.
        bucket: The bucket as its pods reach it.
        own: The same bucket as the tests and their rollouts reach it.
    """

    namespace: str
    bucket: StoppableStorage
    own: StoppableStorage

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace; return its output."""
        return kubectl("--namespace", self.namespace, *arguments)

    def items(self, kind: str, selector: str) -> list[Any]:
        """Return the objects with these labels."""
        text = self.kubectl("get", kind, "--selector", selector, "--output", "json")
        return list(json.loads(text)["items"])

    def pods(self, selector: str = SERVERS) -> dict[str, Any]:
        """Return the pods that nobody has deleted, by name."""
        found = self.items("pods", selector)
        return {p["metadata"]["name"]: p for p in found if "deletionTimestamp" not in p["metadata"]}

    def new_pod(self, before: dict[str, Any], selector: str = SERVERS) -> str:
        """Wait for a pod that was not there before; return its name."""
        return str(wait_for("a new pod", lambda: sorted(set(self.pods(selector)) - set(before)))[0])

    def ready_pods(self) -> set[str]:
        """Return the names of the pods that are ready."""
        return {name for name, pod in self.pods().items() if is_ready(pod)}

    def wait_until_ready(self) -> None:
        """Wait until the Deployment's pods are ready, and no other pod is left to leave."""
        self.kubectl("rollout", "status", "deployment/emotion-ai", "--timeout=300s")
        wait_for("two servers", lambda: len(self.ready_pods()) == len(self.pods()) == 2, 180)

    def init_log(self, pod: str) -> str:
        """Return what the pod's init step has printed."""
        return self.kubectl("logs", pod, "--container", "release")

    def wait_for_line(self, pod: str, words: str) -> None:
        """Wait until the pod's init step has printed a line with these words."""
        wait_for(f"{pod}: {words}", lambda: words in self.init_log(pod), 180)

    def publish(self, shift: float) -> int:
        """Publish a tiny release with a shift; return its version."""
        with tempfile.TemporaryDirectory() as scratch:
            return publish_tiny_release(BUCKET_REGISTRY, Path(scratch), shift, shift)

    def start_rollout(self, version: int, run: str = "") -> "subprocess.Popen[str]":
        """Start a rollout in a process of its own; see `kubernetes_cluster.finish`."""
        settings = {"namespace": self.namespace}
        return start_rollout(version, run=run, settings=settings, registry=BUCKET_REGISTRY)

    def journal(self) -> Any:
        """Return the journal on the Lease."""
        lease = json.loads(self.kubectl("get", "lease", "emotion-ai-rollout", "--output", "json"))
        annotations = lease["metadata"].get("annotations", {})
        return json.loads(annotations.get("emotion-ai.dev/journal", "{}"))


def is_ready(pod: Any) -> bool:
    """Whether callers may be sent to a pod."""
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def container(pod: Any, name: str) -> Any:
    """Return the status of a pod's container; {} before it has one."""
    status = pod["status"]
    found = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return next((entry for entry in found if entry["name"] == name), {})


@contextlib.contextmanager
def servers_with_bucket(folder: Path) -> Iterator[BucketServers]:
    """Install servers in the block, without a release; the pods' bucket is away at first."""
    load_images(("base", "serve"))
    host, namespace = node_address(), new_namespace("bucket")
    bucket, own = (StoppableStorage(folder, "models", host) for _ in range(2))
    objects = moved(_manifests(bucket.address), namespace)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORAGE_EMULATOR_HOST", own.address)
        environment.setenv("no_proxy", host)
        try:
            own.start()
            answer("apply", "--filename=-", objects=objects)
            yield BucketServers(namespace, bucket, own)
        finally:
            remove(namespace, objects)
            bucket.stop()
            own.stop()


def node_address() -> str:
    """Return an address of this machine that pods reach: a node's, in whose network this runs."""
    nodes = json.loads(kubectl("get", "nodes", "--output", "json"))["items"]
    for entry in (entry for node in nodes for entry in node["status"]["addresses"]):
        if entry["type"] == "InternalIP":
            with contextlib.suppress(OSError):
                free_port(entry["address"])
                return str(entry["address"])
    pytest.skip("the tests do not run in a node's network: pods cannot reach what they start")


def _manifests(address: str) -> list[Object]:
    objects = parse(load_script().render(f"{ROOT}/tests/cluster/bucket-overlay", _IMAGES))
    (init,) = one(objects, "Deployment")["spec"]["template"]["spec"]["initContainers"]
    for variable in init["env"]:
        if variable["value"] == "ADDRESS":
            variable["value"] = address
    return objects
