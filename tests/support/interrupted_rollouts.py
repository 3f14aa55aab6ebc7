"""Rollouts on a cluster that are killed, or lose their API server, in a phase; and the history."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from emotion_ai.registry.champion import read_champion

from support.kubernetes_cluster import (
    REGISTRY,
    Answer,
    Calls,
    calling,
    get,
    journal,
    roll_out,
    served_release,
    start_rollout,
    wait_for,
)

PHASES = ("canary", "baking", "promoting", "verifying", "back")
CANARIES = "app.kubernetes.io/name=emotion-ai,emotion-ai.dev/track=canary"
_AWAY_S = 30

Hit = Callable[["subprocess.Popen[str]"], None]


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a rollout's process with SIGKILL."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def take_api_server_away(process: "subprocess.Popen[str]") -> None:
    """Stop the API server for half a minute, and let the rollout end as it can."""
    with api_server_away():
        time.sleep(_AWAY_S)
    process.communicate(timeout=600)


@contextmanager
def api_server_away() -> Iterator[None]:
    """Stop the API server in the block, with the shell's commands STOP_API and START_API."""
    subprocess.run(os.environ["STOP_API"], shell=True, check=True)  # noqa: S602 - the caller's own
    try:
        yield
    finally:
        subprocess.run(os.environ["START_API"], shell=True, check=True)  # noqa: S602
        wait_for("the API server", lambda: get("deployment", "emotion-ai"))


def interrupt(version: int, phase: str, hit: Hit, hidden: Path) -> None:
    """Roll a release out, and hit the rollout in a phase.

    Args:
        version: The release.
        phase: One of `PHASES`.
        hit: Is called with the process.
        hidden: Where the release goes for the phase "back": pods that start then find none.
    """
    process = start_rollout(version, run="nightly")
    try:
        if phase == "back":
            _wait_for_phase(process, "promoting")
            shutil.move(REGISTRY / str(version), hidden)
        _wait_for_phase(process, phase)
        hit(process)
    finally:
        if process.poll() is None:
            kill(process)


def _wait_for_phase(process: "subprocess.Popen[str]", phase: str) -> None:
    seen = set()

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        seen.add(found := journal().get("phase"))
        # It is done before it begins, too.
        assert found != "done" or seen == {"done"}, f"the phase {phase} passed unseen"
        return bool(found == phase)

    wait_for(f"the phase {phase}", is_there, 300)


def check_recovery(
    publish: Callable[[float], int], shift: float, phase: str, hit: Hit, folder: Path
) -> None:
    """Hit a rollout under callers; the next one ends well, and callers saw proven releases alone.

    Args:
        publish: Publishes a release with a shift.
        shift: A shift that no other release has.
        phase: One of `PHASES`.
        hit: What happens to the rollout's process in that phase.
        folder: An empty folder.
    """
    serving = served_release()
    assert serving is not None, "a release has to serve before"
    version = publish(shift)
    calls_folder = folder / "calls"
    calls_folder.mkdir()
    # A release that is gone cannot be rolled out again.
    wanted, run = (serving, "") if phase == "back" else (version, "nightly-again")
    # Without a pause they take the processors from the rollout that is tried.
    with calling(calls_folder, per_address=1, pause_s=0.1) as read:
        wait_for("calls", lambda: len(read().records) > 20)
        interrupt(version, phase, hit, folder / "hidden")
        answer: Answer = roll_out(wanted, run=run)
        assert answer.code == 0, answer.messages
    calls = read()
    assert not calls.failures
    check_history(calls, proven_times([serving]))
    assert served_release() == read_champion(str(REGISTRY)) == journal()["proven"] == wanted
    assert journal()["phase"] == "done"
    assert not get("jobs", selector=CANARIES)


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
