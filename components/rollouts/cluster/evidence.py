"""What was seen of a release that answers: its servers' counts, and the golden requests in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from emotion_ai.rollouts.cluster.observation import Counts

# The server's fault. Whatever else is not OK counts as its caller's.
SERVER_ERRORS = frozenset(
    {
        "ABORTED",
        "DATA_LOSS",
        "DEADLINE_EXCEEDED",
        "INTERNAL",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
        "UNIMPLEMENTED",
        "UNKNOWN",
    }
)


class GoldenAnswer(NamedTuple):
    """How a golden request ended: the gRPC status, and the seconds that its caller waited."""

    status: str
    seconds: float


class GoldenPair(NamedTuple):
    """A golden request sent to the release, and next to a stable server if there is one."""

    tried: GoldenAnswer
    stable: GoldenAnswer | None = None


@dataclass(frozen=True)
class Evidence:
    """What was seen of a release in a span of time.

    Attributes:
        seconds: The span.
        tried: What the servers of the release have counted in it, golden requests included.
        stable: What the servers that it is compared with have counted in the same span.
        golden: The golden requests that were sent in this span, and are among those counts.
        problems: What else is known to be wrong, a sentence each: a container that restarted, a
            pod that is not ready, a golden answer that differs.
    """

    seconds: float
    tried: Counts
    stable: Counts = field(default_factory=Counts)
    golden: Sequence[GoldenPair] = ()
    problems: Sequence[str] = ()

    @property
    def callers(self) -> Counts:
        """What callers asked the release."""
        return without_golden(self.tried, [pair.tried for pair in self.golden])

    @property
    def stable_callers(self) -> Counts:
        """What callers asked the stable servers."""
        return without_golden(self.stable, [pair.stable for pair in self.golden if pair.stable])

    @property
    def golden_answers(self) -> int:
        """How many golden requests the release has answered."""
        return sum(pair.tried.status == "OK" for pair in self.golden)


def without_golden(counts: Counts, golden: Sequence[GoldenAnswer]) -> Counts:
    """Take a rollout's own requests out of what a server has counted; what is left is of callers.

    A golden request was answered no later than its sender has seen: so callers seem faster by
    the way of its answer at most, never slower.
    """
    own = Counter(answer.status for answer in golden)
    requests = {name: max(0, n - own[name]) for name, n in counts.requests.items()}
    waits = [answer.seconds * 1e6 for answer in golden if answer.status == "OK"]
    # Not all that `requests` counts is among the latencies.
    faster = max(0, counts.latencies[-1][1] - len(waits)) if counts.latencies else 0
    latencies = []
    # From the slowest bucket on: no bucket holds more than the one above it.
    for bound, n in reversed(counts.latencies):
        faster = max(0, min(faster, n - sum(wait <= bound for wait in waits)))
        latencies.append((bound, faster))
    return Counts(
        {name: n for name, n in requests.items() if n}, tuple(reversed(latencies)), counts.restarted
    )


def server_errors(counts: Counts) -> int:
    """Count the requests that failed by the server's fault."""
    return sum(n for name, n in counts.requests.items() if name in SERVER_ERRORS)


def callers_errors(counts: Counts) -> int:
    """Count the requests that failed otherwise."""
    return counts.total - counts.requests.get("OK", 0) - server_errors(counts)
