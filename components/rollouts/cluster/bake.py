"""Watch servers answer callers, and judge their release by what they count meanwhile."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from emotion_ai.errors import Unavailable
from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.connections import PodConnections
from emotion_ai.rollouts.cluster.evidence import Evidence, GoldenPair
from emotion_ai.rollouts.cluster.observation import Counts, difference, total
from emotion_ai.rollouts.cluster.pods import is_true, restarts
from emotion_ai.rollouts.cluster.verdict import (
    Verdict,
    find_golden_slowness,
    is_bake_over,
    judge,
    judge_so_far,
)
from emotion_ai.rollouts.settings import CanarySettings
from emotion_ai.rollouts.verification import GoldenRequests

_TICK_SECONDS = 1.0
_READ_SECONDS = 5.0
# A server that cannot be read so often in a row is a problem.
_MAX_FAILURES = 3
# Enough for a median before any caller waits for a slow graph.
_LATENCY_PAIRS = 15


class Groups(NamedTuple):
    """The pods of the release that is judged, and those it is compared with."""

    tried: list[Object]
    stable: list[Object]


class _Tally:
    """Adds up what a changing set of servers counts from one reading to the next."""

    def __init__(self) -> None:
        self._last: dict[str, Counts] = {}
        self._failures: dict[str, int] = {}
        self.counts = Counts()

    def known(self, pods: list[Object]) -> list[Object]:
        """Return the servers that were read last time: what they answer is counted."""
        return [pod for pod in pods if self._failures.get(pod["metadata"]["uid"], 1) == 0]

    def read(self, connections: PodConnections, pods: list[Object]) -> list[str]:
        """Read the servers' counts; return which cannot be read any more."""
        problems = []
        for pod in pods:
            uid = pod["metadata"]["uid"]
            try:
                current = connections.counts(pod)
            except Unavailable as error:
                # Once may be a pod that leaves.
                self._failures[uid] = self._failures.get(uid, 0) + 1
                problems += [str(error)] if self._failures[uid] >= _MAX_FAILURES else []
                continue
            self._failures[uid] = 0
            if uid in self._last:
                self.counts = total([self.counts, difference(self._last[uid], current)])
            self._last[uid] = current
        return problems


def compare_latency(
    connections: PodConnections, tried: Object, stable: list[Object], golden: GoldenRequests
) -> list[str]:
    """Send golden requests to a canary and a stable server in turn, before callers reach it.

    Returns:
        What is wrong: that the canary is much slower.
    """
    if not stable:
        return []
    pairs = []
    for number in range(_LATENCY_PAIRS):
        log = golden.logs[number % len(golden.logs)]
        usual = connections.time_request(stable[number % len(stable)], log)
        pairs.append(GoldenPair(connections.time_request(tried, log), usual))
    return find_golden_slowness(pairs)


def watch(
    connections: PodConnections,
    release: int,
    golden: GoldenRequests,
    list_pods: Callable[[], Groups],
    settings: CanarySettings,
) -> Verdict:
    """Watch a release until its bake is over, or until it is refused.

    One golden request a second goes to the release, and one to a stable server.

    Args:
        connections: To the pods.
        release: The release that is judged.
        golden: Its golden requests.
        list_pods: Returns the pods to watch; called every few seconds.
        settings: How long to watch, and how many requests decide.

    Raises:
        EmotionAIError: What `list_pods` raises.
    """
    tried, stable = _Tally(), _Tally()
    asked: list[_Asked] = []
    groups = list_pods()
    tried.read(connections, groups.tried)
    stable.read(connections, groups.stable)
    started = last_read = time.monotonic()
    idle_s = 0.0
    while True:
        time.sleep(_TICK_SECONDS)
        counted = Groups(tried.known(groups.tried), stable.known(groups.stable))
        if counted.tried:
            asked.append(_ask(connections, release, golden, counted, len(asked)))
        is_wrong = bool(asked and asked[-1].problem)
        if time.monotonic() - last_read < _READ_SECONDS and not is_wrong:
            continue
        last_read = time.monotonic()
        groups = list_pods()
        problems = tried.read(connections, groups.tried) + _pod_problems(groups.tried)
        stable.read(connections, groups.stable)
        # What a server that has left did not answer, or the way to it lost, is no fault of the
        # release; and its counts are not all known.
        present = {pod["metadata"]["uid"] for pod in tried.known(groups.tried)}
        asked = [a for a in asked if a.pod in present]
        if not connections.are_direct:
            asked = [a for a in asked if a.pair.tried.status == "OK"]
        problems += [a.problem for a in asked if a.problem]
        seconds = last_read - started
        evidence = Evidence(seconds, tried.counts, stable.counts, [a.pair for a in asked], problems)
        requests = evidence.callers.total
        idle_s = idle_s if requests else seconds
        if is_bake_over(seconds, requests, settings, idle_s):
            return judge(evidence, settings)
        # A server that leaves may miss golden requests before it is seen to leave.
        answered = [a.pair for a in asked if a.pair.tried.status == "OK"]
        verdict = judge_so_far(replace(evidence, golden=answered), settings)
        if not verdict.ok:
            return verdict


class _Asked(NamedTuple):
    """A golden request: the pod's uid, how it ended, and what is wrong with the answer."""

    pod: str
    pair: GoldenPair
    problem: str


def _ask(
    connections: PodConnections,
    release: int,
    golden: GoldenRequests,
    groups: Groups,
    number: int,
) -> _Asked:
    log = golden.logs[number % len(golden.logs)]
    pod = groups.tried[number % len(groups.tried)]
    tried, problem = connections.ask(pod, release, log, golden.tolerance)
    usual = None
    if groups.stable:
        usual = connections.time_request(groups.stable[number % len(groups.stable)], log)
    return _Asked(pod["metadata"]["uid"], GoldenPair(tried, usual), problem)


def _pod_problems(pods: list[Object]) -> list[str]:
    found = []
    for pod in pods:
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            # It leaves; EndpointSlices may tell so a little later.
            continue
        if restarts(pod):
            found.append(f"pod {name}: its server was started again {restarts(pod)} times")
        elif not is_true(pod, "ContainersReady"):
            # A pod of a node that does not report is not Ready; its containers may well be.
            found.append(f"pod {name}: is not ready")
    return found
