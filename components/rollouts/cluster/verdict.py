"""Judge a release by what its servers have answered: no cluster is asked here.

Callers decide where enough of them came, and golden requests, which the rollout sends, wherever
they did not. What nothing was answered by is not good: it is unknown, and that is no pass.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emotion_ai.rollouts.cluster.evidence import (
    SERVER_ERRORS,
    Evidence,
    GoldenPair,
    callers_errors,
    server_errors,
)
from emotion_ai.rollouts.cluster.observation import Counts
from emotion_ai.rollouts.settings import CanarySettings

# Fewer requests of callers say nothing.
MIN_JUDGED = 20
# So many are enough for a verdict before the time, whatever the settings wait for.
MAX_EXPECTED = 300
MAX_ERROR_SHARE = 0.01
# How many times the stable servers' share of their callers' errors is no cause for doubt.
CALLERS_ERRORS_FACTOR = 3
SLOWEST_SHARE = 0.05
# TensorFlow Serving's buckets grow by 1.8. More than two apart: the factor lies between these.
_TWO_BUCKETS_APART = 1.8**2.5
# Faster than this is never slow.
FAST_ENOUGH_S = 0.010
# One after the other on a quiet machine, the same graph differs by less than this.
GOLDEN_FACTOR = 3.0
MIN_GOLDEN_PAIRS = 10
# How a float's sum may differ from the number that it stands for.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """Whether a release may stay.

    Attributes:
        ok: Whether nothing speaks against it.
        reasons: What does, a sentence each.
        only_slow: Whether nothing is wrong but that it is slow.
        seconds: How long it was watched.
        requests: Of callers, golden requests left out.
        wanted: Requests of callers that would have decided alone.
        errors: Those that failed by the server's fault.
        callers_errors: Those that failed otherwise.
        p95_ms: Callers waited no longer for 95 % of their answers: the bound of a bucket; None
            where there are too few, or no bound was kept.
        stable_p95_ms: The same of the servers that it is compared with.
        golden: How many golden requests were answered.
        judged_by: "callers", "golden answers", "callers and golden answers" or "nothing".
    """

    ok: bool
    reasons: tuple[str, ...]
    only_slow: bool
    seconds: float
    requests: int
    wanted: int
    errors: int
    callers_errors: int
    p95_ms: float | None
    stable_p95_ms: float | None
    golden: int
    judged_by: str

    @property
    def summary(self) -> str:
        """What was seen, in a phrase for records and `kubectl rollout history`."""
        golden = _plural(self.golden, "golden answer")
        if "callers" not in self.judged_by:
            seen = f"{_plural(self.requests, 'request')} of callers in {self.seconds:.0f} s"
            return f"{seen}: judged by {golden if self.golden else 'nothing'}"
        text = f"{_plural(self.requests, 'request')} in {self.seconds:.0f} s: "
        text += _plural(self.errors, "error")
        if self.callers_errors:
            text += f", {self.callers_errors} refused"
        if self.p95_ms is not None:
            text += f", p95 {_words(self.p95_ms)} (stable {_words(self.stable_p95_ms)})"
        if "golden" in self.judged_by:
            text += f"; fewer than {self.wanted}, so judged by {golden} too"
        return text


def is_bake_over(
    elapsed_s: float, requests: int, settings: CanarySettings, idle_s: float = 0.0
) -> bool:
    """Whether a canary has answered callers for long enough to be judged for good.

    Args:
        elapsed_s: Seconds since callers were let in.
        requests: Requests of callers in them, see `without_golden`.
        settings: How long to wait, and for what.
        idle_s: Seconds until the first request of a caller.
    """
    if settings.bake_s == 0 or elapsed_s >= settings.max_bake_s:
        return True
    return elapsed_s - idle_s >= settings.bake_s and requests >= settings.min_requests


def judge(evidence: Evidence, settings: CanarySettings) -> Verdict:
    """Judge a release for good.

    Args:
        evidence: What was seen.
        settings: `min_requests` is how many requests of callers decide without golden ones.
    """
    verdict = _weigh(evidence, settings, outstanding=0)
    if verdict.judged_by != "nothing":
        return verdict
    unknown = "too few requests of callers, and no golden request was answered"
    return replace(verdict, ok=False, only_slow=False, reasons=(*verdict.reasons, unknown))


def judge_so_far(evidence: Evidence, settings: CanarySettings) -> Verdict:
    """Judge a release while more requests come: what is not known yet does not speak against it.

    It is refused early only if it would be with every request up to `min_requests`, or some
    hundreds, answered well and fast, so that one error among the first is no verdict.
    """
    expected = min(settings.min_requests, MAX_EXPECTED)
    outstanding = max(0, expected - evidence.callers.total)
    return _weigh(evidence, settings, outstanding)


def _weigh(evidence: Evidence, settings: CanarySettings, outstanding: int) -> Verdict:
    tried, stable = evidence.callers, evidence.stable_callers
    faults = (
        *evidence.problems,
        *_find_blindness(evidence),
        *_find_errors(tried, stable, outstanding),
        *find_golden_errors(evidence.golden),
    )
    slowness = (
        *_find_slowness(tried, stable, outstanding),
        *find_golden_slowness(evidence.golden),
    )
    return Verdict(
        ok=not faults and not slowness,
        reasons=faults + slowness,
        only_slow=bool(slowness) and not faults,
        seconds=evidence.seconds,
        requests=tried.total,
        wanted=settings.min_requests,
        errors=server_errors(tried),
        callers_errors=callers_errors(tried),
        p95_ms=_milliseconds(_p95(tried)),
        stable_p95_ms=_milliseconds(_p95(stable)),
        golden=evidence.golden_answers,
        judged_by=_judged_by(tried.total, evidence.golden_answers, settings.min_requests),
    )


def find_golden_errors(golden: Sequence[GoldenPair]) -> list[str]:
    """Say what is wrong with the status of golden requests, as for callers but from the first."""
    failed = [pair.tried.status for pair in golden if pair.tried.status != "OK"]
    others = [pair.stable for pair in golden if pair.stable]
    stable = sum(answer.status != "OK" for answer in others) / max(1, len(others))
    share = len(failed) / max(1, len(golden))
    if share <= MAX_ERROR_SHARE + stable + _ROUNDING:
        return []
    names = ", ".join(sorted(set(failed)))
    return [f"{len(failed)} of {len(golden)} golden requests failed ({names})"]


def find_golden_slowness(golden: Sequence[GoldenPair]) -> list[str]:
    """Say whether golden requests took much longer than on a stable server, sent alternately.

    So a slow graph is found before any caller waits for it.
    """
    pairs = [
        (pair.tried.seconds, pair.stable.seconds)
        for pair in golden
        if pair.stable and pair.tried.status == pair.stable.status == "OK"
    ]
    if len(pairs) < MIN_GOLDEN_PAIRS:
        return []
    tried = statistics.median(tried for tried, _ in pairs)
    # Of each pair, because requests differ in size and the machine's load comes and goes.
    factor = statistics.median(tried / max(stable, 1e-6) for tried, stable in pairs)
    if factor <= GOLDEN_FACTOR + _ROUNDING or tried <= FAST_ENOUGH_S:
        return []
    return [
        f"golden answers take {tried * 1e3:.3g} ms, {factor:.1f} times as long as on a stable "
        f"server ({len(pairs)} pairs, medians)"
    ]


def _judged_by(requests: int, golden: int, min_requests: int) -> str:
    judges = []
    if requests >= MIN_JUDGED:
        judges.append("callers")
    if golden and requests < max(min_requests, MIN_JUDGED):
        judges.append("golden answers")
    return " and ".join(judges) or "nothing"


def _find_blindness(evidence: Evidence) -> list[str]:
    if evidence.tried.restarted:
        return ["a server has restarted: its counters began anew"]
    counted, answered = evidence.tried.requests.get("OK", 0), evidence.golden_answers
    if counted < answered:
        return [
            f"the metrics count {counted} answers although {answered} golden requests alone were "
            "answered: they are not of these servers"
        ]
    return []


def _find_errors(tried: Counts, stable: Counts, outstanding: int) -> list[str]:
    """Compare shares of errors with the stable servers'."""
    if tried.total < MIN_JUDGED:
        return []
    found = []
    whole, others = tried.total + outstanding, max(1, stable.total)
    errors, usual = server_errors(tried), server_errors(stable) / others
    if errors / whole > MAX_ERROR_SHARE + usual + _ROUNDING:
        names = ", ".join(sorted(SERVER_ERRORS & tried.requests.keys()))
        found.append(
            f"{errors} of {tried.total} requests failed ({names}); "
            f"{usual:.1%} of the stable servers'"
        )
    mistakes, usual = callers_errors(tried), callers_errors(stable) / others
    if mistakes / whole > CALLERS_ERRORS_FACTOR * usual + MAX_ERROR_SHARE + _ROUNDING:
        names = ", ".join(sorted(tried.requests.keys() - SERVER_ERRORS - {"OK"}))
        found.append(
            f"{mistakes} of {tried.total} requests were refused ({names}); "
            f"{usual:.1%} of the stable servers'"
        )
    return found


def _find_slowness(tried: Counts, stable: Counts, outstanding: int) -> list[str]:
    """Compare the buckets that hold the 95th percentile of callers' latencies."""
    slowest, usual = _p95(tried, outstanding), _p95(stable)
    if slowest is None or usual is None:
        return []
    if slowest <= usual * _TWO_BUCKETS_APART or slowest <= FAST_ENOUGH_S * 1e6:
        return []
    words = "longer than any bucket" if slowest == math.inf else _words(_milliseconds(slowest))
    return [f"95 % of answers take {words}, {_words(_milliseconds(usual))} on the stable servers"]


def _p95(counts: Counts, outstanding: int = 0) -> float | None:
    """The bound of the bucket that 95 % of answers do not exceed, in microseconds.

    None where too few have been answered. Answers that are still to come are taken to be fast.
    """
    answers = counts.latencies[-1][1] if counts.latencies else 0
    if answers < MIN_JUDGED:
        return None
    slow = SLOWEST_SHARE * (answers + outstanding) + _ROUNDING
    return next(bound for bound, n in counts.latencies if answers - n <= slow)


def _milliseconds(microseconds: float | None) -> float | None:
    if microseconds is None or microseconds == math.inf:
        return None
    return microseconds / 1e3


def _words(milliseconds: float | None) -> str:
    return "an unknown time" if milliseconds is None else f"up to {milliseconds:.3g} ms"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
