"""The overlay local before its first release, and what `kubectl apply` leaves of a rollout."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from emotion_ai.rollouts.cluster.deployment import read_deployment, release_patch

from support.cluster_installation import load_images
from support.kubectl import answer, kubectl, moved, new_namespace, read, remove, require_cluster
from support.manifests import FOLDER, Object, load_script, parse

pytestmark = pytest.mark.cluster


class Waiting(NamedTuple):
    """The overlay local with an empty registry, in a namespace of its own."""

    namespace: str
    objects: list[Object]

    def deployment(self) -> Any:
        return read("get", "deployment", "emotion-ai", f"--namespace={self.namespace}")


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    require_cluster()
    namespace = new_namespace("waiting")
    registry = tmp_path_factory.mktemp("registry")
    registry.chmod(0o755)
    (volume,) = parse((FOLDER / "overlays/local/registry-on-nodes.yaml").read_text())
    volume["spec"]["claimRef"]["namespace"] = namespace
    volume["spec"]["hostPath"]["path"] = str(registry)
    manifests = parse(load_script().render("local", "localhost/emotion-ai"))
    objects = moved([volume, *manifests], namespace)
    try:
        answer("apply", "--filename=-", objects=objects)
        yield Waiting(namespace, objects)
    finally:
        remove(namespace, objects)


def test_pods_wait_for_the_first_release_and_say_so(waiting: Waiting) -> None:
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    load_images(("base",))
    where = f"--namespace={waiting.namespace}"
    log = ("logs", "deployment/emotion-ai", "--container=release", where)
    deadline = time.monotonic() + 120
    while "waiting" not in (said := kubectl(*log).stdout):
        assert time.monotonic() < deadline, answer("describe", "pods", where)
        time.sleep(1)
    assert said == "waiting for the first rollout: no models.config in /registry yet\n"
    for pod in read("get", "pods", where)["items"]:
        (init,) = pod["status"]["initContainerStatuses"]
        assert init["restartCount"] == 0
    for slices in read("get", "endpointslices", where)["items"]:
        assert not any(e["conditions"]["ready"] for e in slices["endpoints"] or [])


@pytest.mark.parametrize("way", ["client-side", "server-side"])
def test_apply_leaves_what_a_rollout_set(waiting: Waiting, way: str) -> None:
    before = read_deployment(waiting.deployment())
    patch = release_patch(before, release=7, digest="d" * 64, cause="release 7", holder="h")
    # Its status may change meanwhile.
    del patch["metadata"]["resourceVersion"]
    where = f"--namespace={waiting.namespace}"
    answer("patch", "deployment", "emotion-ai", where, f"--patch={json.dumps(patch)}")
    answer("scale", "deployment", "emotion-ai", where, "--replicas=1")
    options = ["--server-side", "--force-conflicts"] if way == "server-side" else []
    answer("apply", *options, "--filename=-", objects=waiting.objects)
    after = waiting.deployment()
    there = read_deployment(after)
    assert (there.release, there.digest) == (7, "d" * 64)
    assert there.template["metadata"]["labels"]["emotion-ai.dev/release"] == "7"
    assert after["metadata"]["annotations"]["kubernetes.io/change-cause"] == "release 7"
    # The overlay's own number.
    assert there.replicas == 2


def test_history_tells_the_cause_and_undo_takes_the_release_back(waiting: Waiting) -> None:
    where = f"--namespace={waiting.namespace}"
    for release in (8, 9):
        before = read_deployment(waiting.deployment())
        cause = f"release {release}, because"
        patch = release_patch(before, release=release, digest="e" * 64, cause=cause, holder="h")
        del patch["metadata"]["resourceVersion"]
        answer("patch", "deployment", "emotion-ai", where, f"--patch={json.dumps(patch)}")
        _wait_until_observed(waiting)
    history = answer("rollout", "history", "deployment/emotion-ai", where)
    assert [line.split(maxsplit=1)[1] for line in history.splitlines() if "because" in line] == [
        "release 8, because",
        "release 9, because",
    ]
    answer("rollout", "undo", "deployment/emotion-ai", where)
    after = waiting.deployment()
    assert read_deployment(after).release == 8
    assert after["metadata"]["annotations"]["kubernetes.io/change-cause"] == "release 8, because"


def _wait_until_observed(waiting: Waiting) -> None:
    """Wait until the Deployment's controller has made a ReplicaSet of the last change."""
    deadline = time.monotonic() + 60
    while True:
        body = waiting.deployment()
        if body["status"].get("observedGeneration") == body["metadata"]["generation"]:
            return
        assert time.monotonic() < deadline
        time.sleep(0.5)
