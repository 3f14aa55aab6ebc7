"""What servers count of their answers, as the metrics of a canary tell it."""

import math
from collections.abc import Sequence

from emotion_ai.rollouts.cluster.evidence import (
    GoldenAnswer,
    GoldenPair,
)
from emotion_ai.rollouts.cluster.observation import Counts, total
from emotion_ai.rollouts.settings import CanarySettings

SETTINGS = CanarySettings()
BOUNDS = (*(10 * 1.8**power for power in range(32)), math.inf)


FAST, SLOW = 8, 14


def counts(ok: int = 0, bucket: int = FAST, slow: int = 0, **errors: int) -> Counts:
    """Answers in one bucket, `slow` more in a bucket far above, and errors."""
    requests = {"OK": ok + slow, **errors}
    latencies = tuple(
        (bound, ok * (i >= bucket) + slow * (i >= bucket + 6)) for i, bound in enumerate(BOUNDS)
    )
    return Counts(
        {name: n for name, n in requests.items() if n}, latencies if ok + slow else (), False
    )


def golden(count: int, seconds: float = 0.004, stable: float | None = None) -> list[GoldenPair]:
    other = None if stable is None else GoldenAnswer("OK", stable)
    return [GoldenPair(GoldenAnswer("OK", seconds), other)] * count


def with_golden(callers: Counts, sent: Sequence[GoldenPair]) -> Counts:
    """What a server counts that was asked by callers and by a rollout."""
    own = Counts({"OK": len(sent)}, counts(len(sent), 0).latencies)
    return total([callers, own])
