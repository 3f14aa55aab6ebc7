"""A rollout that is killed in any phase: nothing unproven serves, and the next one ends well."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.registry.champion import read_champion

from support.kubernetes_cluster import (
    REGISTRY,
    Calls,
    calling,
    get,
    journal,
    roll_out,
    served_release,
    start_rollout,
    wait_for,
)

CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"


def kill_in_phase(process: subprocess.Popen[str], phase: str) -> None:
    """Kill a rollout as soon as its journal says this phase."""

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        return bool(journal().get("phase") == phase)

    wait_for(f"the phase {phase}", is_there, 300)
    process.send_signal(signal.SIGKILL)
    process.wait()


def check_history(calls: Calls, proven_at: dict[int, float]) -> None:
    """Each answer came from a release that had been proven before, with that release's shift."""
    answered = calls.records[calls.records["version"] > 0]
    for version in np.unique(answered["version"]):
        of_it = answered[answered["version"] == version]
        assert int(version) in proven_at, f"release {version} answered and was never proven"
        assert of_it["start"].min() + 1 >= proven_at[int(version)]
        assert len(np.unique(of_it["shift"].round(2))) == 1


def proven_times(versions: list[int]) -> dict[int, float]:
    """When the canary of each release was proven; 0 for one that served before."""
    found = dict.fromkeys(versions, 0.0)
    for event in get("events"):
        if event["reason"] == "CanaryProven":
            release = int(event["message"].split()[1].rstrip(":"))
            at = time.mktime(time.strptime(event["firstTimestamp"], "%Y-%m-%dT%H:%M:%SZ"))
            found.setdefault(release, at - time.timezone)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["canary", "baking", "promoting", "verifying"])
def test_the_next_rollout_recovers_from_a_kill(
    first_release: int, publish: Callable[..., int], tmp_path: Path, phase: str
) -> None:
    serving = served_release() or first_release
    version = publish(20.0 + len(phase))
    with calling(tmp_path, per_address=1) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        kill_in_phase(start_rollout(version, run="nightly"), phase)
        answer = roll_out(version, run="nightly-again")
        assert answer.code == 0, answer.messages
    calls = read()
    assert not calls.failures
    check_history(calls, proven_times([serving]))
    assert served_release() == read_champion(str(REGISTRY)) == journal()["proven"] == version
    assert journal()["phase"] == "done"
    assert not get("jobs", selector=CANARIES)


@pytest.mark.slow
def test_the_next_rollout_finishes_the_way_back(
    first_release: int, publish: Callable[..., int], tmp_path: Path
) -> None:
    serving = served_release() or first_release
    version, hidden = publish(31.0), tmp_path / "hidden"
    folder = tmp_path / "calls"
    folder.mkdir()
    with calling(folder, per_address=1) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        process = start_rollout(version, run="nightly")
        wait_for("the promotion", lambda: journal().get("phase") == "promoting", 300)
        # Pods that start now find no such release.
        shutil.move(REGISTRY / str(version), hidden)
        kill_in_phase(process, "back")
        answer = roll_out(serving)
        assert answer.code == 0, answer.messages
    calls = read()
    assert not calls.failures
    check_history(calls, proven_times([serving]))
    assert served_release() == read_champion(str(REGISTRY)) == journal()["proven"] == serving
    assert not get("jobs", selector=CANARIES)
