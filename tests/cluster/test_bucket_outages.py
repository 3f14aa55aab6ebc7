"""The bucket of the registry is away while pods start or restart, and while a release rolls out."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster_bucket import (
    CANARIES,
    BucketServers,
    container,
    is_ready,
    servers_with_bucket,
)
from support.kubernetes_cluster import Answer, Calls, calling, finish, wait_for
from support.server_kills import kill_server


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServers]:
    """Servers without a release, whose bucket is away."""
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    with servers_with_bucket(tmp_path_factory.mktemp("buckets")) as servers:
        yield servers


@pytest.fixture(scope="module")
def first_bucket_release(servers: BucketServers) -> int:
    """A release that is rolled out."""
    servers.bucket.start()
    version = servers.publish(1.0)
    answer = finish(servers.start_rollout(version))
    assert answer.code == 0, answer.messages
    return version


@pytest.fixture
def serving(first_bucket_release: int, servers: BucketServers) -> Iterator[int]:
    """The release that serves; afterwards the bucket is there."""
    servers.wait_until_ready()
    yield int(servers.journal()["proven"])
    servers.own.start()
    servers.bucket.start()


@contextlib.contextmanager
def expect_no_failure(servers: BucketServers, folder: Path) -> Iterator[list[Calls]]:
    """Callers that call in the block see no failure; what they saw is in the list afterwards."""
    seen: list[Calls] = []
    with calling(folder, per_address=1, namespace=servers.namespace) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        yield seen
    seen.append(read())
    assert not seen[0].failures


def error_line(answer: Answer) -> str:
    """The one line that a rollout ended with."""
    (line,) = [line for line in answer.messages.splitlines() if "error (exit code" in line]
    assert answer.messages.splitlines()[-1] == line
    assert "Traceback" not in answer.messages
    return line


def test_pods_wait_before_the_first_release_and_say_for_what(servers: BucketServers) -> None:
    wait_for("two pods", lambda: len(servers.pods()) == 2)
    for pod in servers.pods():
        servers.wait_for_line(pod, f"waiting for Cloud Storage at {servers.bucket.address} (gs://")
    servers.bucket.start()
    for pod in servers.pods():
        servers.wait_for_line(pod, "waiting for the first rollout: no models.config in gs://models")
    for pod in servers.pods().values():
        assert container(pod, "release")["restartCount"] == 0
        assert not is_ready(pod)


def test_a_pod_that_starts_meanwhile_waits_and_starts_when_it_is_back(
    serving: int, servers: BucketServers, tmp_path: Path
) -> None:
    with expect_no_failure(servers, tmp_path) as seen:
        servers.bucket.stop()
        before = servers.pods()
        servers.kubectl("delete", "pod", min(before), "--wait=false")
        pod = servers.new_pod(before)
        servers.wait_for_line(pod, f"waiting for Cloud Storage at {servers.bucket.address} (gs://")
        servers.bucket.start()
        wait_for("the new pod", lambda: pod in servers.ready_pods())
    assert seen[0].versions == {serving}
    assert container(servers.pods()[pod], "release")["restartCount"] == 0


def test_a_server_that_is_killed_comes_back_without_it(
    serving: int, servers: BucketServers
) -> None:
    servers.bucket.stop()
    name = min(servers.pods())
    before = container(servers.pods()[name], "server")["restartCount"]
    kill_server(servers.kubectl, name)
    wait_for(
        "the server's restart",
        lambda: container(servers.pods()[name], "server")["restartCount"] == before + 1,
    )
    wait_for("the server", lambda: is_ready(servers.pods()[name]))
    assert container(servers.pods()[name], "release")["restartCount"] == 0


def test_a_pod_that_starts_anew_on_its_node_uses_the_copy_that_it_has(
    serving: int, servers: BucketServers
) -> None:
    servers.bucket.stop()
    name = min(servers.pods())
    os.kill(sandbox_process(servers.pods()[name]["metadata"]["uid"]), signal.SIGKILL)
    # As after a restart of the node: every container of the pod, the init step first.
    wait_for(
        "the init step's second run",
        lambda: container(servers.pods()[name], "release")["restartCount"] == 1,
    )
    wait_for("the server", lambda: is_ready(servers.pods()[name]))
    assert f"release {serving} is in /models/emotion_ai/{serving}" in servers.init_log(name)
    assert "waiting" not in servers.init_log(name)


def sandbox_process(uid: str) -> int:
    """The process that holds a pod's network; skips where its node's processes are not seen."""
    names = (f"pod{uid}", f"pod{uid.replace('-', '_')}")
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            cgroup = (path / "cgroup").read_text()
            if any(name in cgroup for name in names) and "pause" in (path / "comm").read_text():
                return int(path.name)
    pytest.skip("the processes of the nodes cannot be seen from here")


@pytest.mark.slow
def test_pods_and_rollouts_that_gave_up_go_on_when_it_is_back(
    serving: int, servers: BucketServers, tmp_path: Path
) -> None:
    version = servers.publish(2.0)
    with expect_no_failure(servers, tmp_path) as seen:
        servers.bucket.stop()
        servers.own.stop()
        before = servers.pods()
        servers.kubectl("delete", "pod", min(before), "--wait=false")
        answer = finish(servers.start_rollout(version, "nightly-2"))
        pod = servers.new_pod(before)
        wait_for(
            "the init step's restart",
            lambda: container(servers.pods()[pod], "release")["restartCount"] >= 1,
        )
        ended = container(servers.pods()[pod], "release")["lastState"]["terminated"]
        servers.bucket.start()
        servers.own.start()
        wait_for("the new pod", lambda: pod in servers.ready_pods(), 180)
    assert answer.code == 1
    assert "gs://models/emotion-ai" in error_line(answer)
    assert "Cloud Storage did not answer" in error_line(answer)
    assert ended["exitCode"] == 1
    assert "Cloud Storage did not answer" in ended["message"]
    assert len(ended["message"].splitlines()) == 1
    assert seen[0].versions == {serving}


@pytest.mark.slow
def test_a_canary_that_finds_no_bucket_is_no_verdict_on_its_release(
    serving: int, servers: BucketServers, tmp_path: Path
) -> None:
    version = servers.publish(3.0)
    with expect_no_failure(servers, tmp_path) as seen:
        servers.bucket.stop()
        answer = finish(servers.start_rollout(version, "nightly-3"))
    assert answer.code == 1
    assert "its container release ended with exit code 1: gs://" in error_line(answer)
    assert error_line(answer).endswith(f"; release {serving} serves")
    assert seen[0].versions == {serving}
    assert servers.journal()["phase"] == "done"
    assert not servers.items("jobs", CANARIES)
    # The same run may try again, and its canary waits for a bucket that is back soon.
    again = servers.start_rollout(version, "nightly-3")
    pod = servers.new_pod({}, CANARIES)
    servers.wait_for_line(pod, "waiting for Cloud Storage at")
    servers.bucket.start()
    answer = finish(again)
    assert answer.code == 0, answer.messages
    assert servers.journal()["proven"] == version


@pytest.mark.slow
def test_pods_that_cannot_fetch_what_was_promoted_are_waited_for(
    serving: int, servers: BucketServers, tmp_path: Path
) -> None:
    version = servers.publish(4.0)
    with expect_no_failure(servers, tmp_path) as seen:
        before = servers.pods()
        rollout = servers.start_rollout(version, "nightly-4")
        wait_for("the bake", lambda: servers.journal().get("phase") == "baking", 180)
        # The canary has its copy; the pods that follow it find nothing.
        servers.bucket.stop()
        pod = servers.new_pod(before)
        wait_for(
            "the init step's restart",
            lambda: container(servers.pods()[pod], "release")["restartCount"] >= 1,
        )
        servers.bucket.start()
        answer = finish(rollout)
    assert answer.code == 0, answer.messages
    assert "Cloud Storage did not answer" in answer.messages
    assert answer.record["outcome"] == "rolled out"
    assert seen[0].versions == {serving, version}
    assert servers.journal()["proven"] == version
