"""Releases roll out on a real cluster, forward and back, while callers call."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.registry.champion import read_champion

from support.cluster_installation import install
from support.kubernetes_cluster import (
    REGISTRY,
    Calls,
    calling,
    finish,
    get,
    journal,
    kubectl,
    roll_out,
    served_release,
    start_rollout,
    wait_for,
)

CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"


def shifts_by_version(calls: Calls) -> dict[int, set[float]]:
    """What the answers of each release showed."""
    answered = calls.records[calls.records["version"] > 0]
    pairs = np.unique(np.stack([answered["version"], answered["shift"].round(2)], 1), axis=0)
    found: dict[int, set[float]] = {}
    for version, shift in pairs:
        found.setdefault(int(version), set()).add(float(shift))
    return found


def test_a_rollout_loses_no_call_and_apply_leaves_it(
    first_release: int, publish: Callable[..., int], tmp_path: Path
) -> None:
    second = publish(2.0)
    with calling(tmp_path, per_address=2) as read:
        wait_for("calls", lambda: len(read().records) > 50)
        answer = roll_out(second, run="nightly-1")
        promoted = time.time()
        wait_for("callers reach the release", lambda: second in read().versions)
        install("tests/cluster/overlay/")
        time.sleep(5)
        assert served_release() == second
    calls = read()
    assert answer.code == 0, answer.messages
    assert not calls.failures
    assert shifts_by_version(calls) == {first_release: {1.0}, second: {2.0}}
    assert calls.between(promoted, float("inf")).records.size

    record = answer.record
    assert (record["outcome"], record["previous"]) == ("rolled out", first_release)
    assert record["canary"]["requests"] >= 50
    assert record["canary"]["judged_by"] == "callers"
    assert {e["version"] for e in record["endpoints"]} == {second}
    assert len(record["endpoints"]) >= 3
    assert read_champion(str(REGISTRY)) == second
    assert (journal()["phase"], journal()["proven"]) == ("done", second)
    history = kubectl("rollout", "history", "deployment/emotion-ai")
    assert f"release {second}, run nightly-1; canary" in history
    events = [
        e["reason"] for e in get("events") if e["source"].get("component", "").startswith("emotion")
    ]
    for reason in ("CanaryProven", "CanaryAdmitted", "Promoted", "RolledOut"):
        assert reason in events
    assert not get("jobs", selector=CANARIES)


@pytest.mark.slow
def test_undo_brings_the_old_release_back_and_the_next_rollout_adopts_it(
    first_release: int, publish: Callable[..., int]
) -> None:
    newer = publish(3.0)
    assert roll_out(newer).code == 0
    before = journal()["proven"]
    kubectl("rollout", "undo", "deployment/emotion-ai")
    kubectl("rollout", "status", "deployment/emotion-ai", "--timeout=180s")
    undone = served_release()
    assert undone not in (None, newer)
    assert before == newer
    answer = roll_out(undone or 0)
    assert answer.code == 0, answer.messages
    assert "put back with kubectl; adopted" in answer.messages
    assert read_champion(str(REGISTRY)) == undone
    assert journal()["proven"] == undone


@pytest.mark.slow
def test_of_two_rollouts_at_once_the_newer_release_stays(
    first_release: int, publish: Callable[..., int]
) -> None:
    older, newer = publish(4.0), publish(5.0)
    later = start_rollout(newer, run="nightly-5")
    wait_for("the newer rollout's canary", lambda: get("jobs", selector=CANARIES))
    earlier = finish(start_rollout(older, run="nightly-4"))
    answer = finish(later)
    assert answer.code == 0, answer.messages
    assert earlier.code == 0, earlier.messages
    assert earlier.record["outcome"] == "superseded"
    assert served_release() == newer
    assert read_champion(str(REGISTRY)) == newer
