"""A release of the time before version 0.2 is rolled out, replaced, put back and adopted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai.registry.champion import read_champion

from support.cluster_bucket import BUCKET_REGISTRY, BucketServers, servers_with_bucket
from support.former_release import upload_former_release
from support.kubernetes_cluster import Answer, calling, finish, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[BucketServers]:
    """Servers without a release, with an empty registry of their own: the release is number 1."""
    if "LOAD_IMAGE" not in os.environ:
        pytest.skip("set LOAD_IMAGE to a command that puts an image onto the nodes")
    folder = tmp_path / "buckets"
    folder.mkdir()
    with servers_with_bucket(folder) as servers:
        servers.bucket.start()
        yield servers


def roll_out(servers: BucketServers, version: int) -> Answer:
    """Roll a release out for a run; it has to end well."""
    answer = finish(servers.start_rollout(version, f"nightly-{version}"))
    assert answer.code == 0, answer.messages
    assert answer.record["outcome"] == "rolled out"
    return answer


def test_it_is_rolled_out_and_adopted_after_an_undo(servers: BucketServers, tmp_path: Path) -> None:
    former = upload_former_release(BUCKET_REGISTRY)
    first = roll_out(servers, former)
    assert first.record["answers_checked"] > 1
    with calling(tmp_path, per_address=1, namespace=servers.namespace) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        newer = servers.publish(2.0)
        assert roll_out(servers, newer).record["previous"] == former
        servers.kubectl("rollout", "undo", "deployment/emotion-ai")
        servers.kubectl("rollout", "status", "deployment/emotion-ai", "--timeout=240s")
        assert servers.journal()["proven"] == newer
        # What a person has put back comes first, whatever is to be rolled out.
        newest = servers.publish(3.0)
        last = roll_out(servers, newest)
    calls = read()
    assert not calls.failures
    assert calls.versions == {former, newer, newest}
    assert f"release {former} was put back with kubectl; adopted" in last.messages
    assert last.record["previous"] == former
    assert read_champion(BUCKET_REGISTRY) == servers.journal()["proven"] == newest
    history = servers.kubectl("rollout", "history", "deployment/emotion-ai")
    assert f"release {former}, run nightly-{former}" in history
