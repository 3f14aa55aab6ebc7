"""Verdicts on a release: what refuses it, what does not, and how honestly it is said."""

import dataclasses
import json
import math
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emotion_ai.rollouts.cluster.evidence import (
    SERVER_ERRORS,
    Evidence,
    GoldenAnswer,
    GoldenPair,
    without_golden,
)
from emotion_ai.rollouts.cluster.observation import Counts, total
from emotion_ai.rollouts.cluster.verdict import (
    MIN_GOLDEN_PAIRS,
    MIN_JUDGED,
    find_golden_slowness,
    is_bake_over,
    judge,
    judge_so_far,
)
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


def test_a_release_that_answers_like_the_stable_one_stays() -> None:
    verdict = judge(Evidence(300, counts(312), counts(900)), SETTINGS)
    assert verdict.ok
    assert verdict.reasons == ()
    assert (verdict.requests, verdict.errors, verdict.golden) == (312, 0, 0)
    assert verdict.judged_by == "callers"
    assert verdict.p95_ms == pytest.approx(10 * 1.8**FAST / 1e3)
    assert (
        verdict.summary == "312 requests in 300 s: 0 errors, p95 up to 1.1 ms (stable up to 1.1 ms)"
    )
    json.dumps(dataclasses.asdict(verdict), allow_nan=False)


@pytest.mark.parametrize("status", sorted(SERVER_ERRORS))
def test_server_errors_refuse_a_release(status: str) -> None:
    verdict = judge(Evidence(300, counts(296, **{status: 4}), counts(900)), SETTINGS)
    assert not verdict.ok
    assert not verdict.only_slow
    assert verdict.reasons == (f"4 of 300 requests failed ({status}); 0.0% of the stable servers'",)
    assert verdict.summary.startswith("300 requests in 300 s: 4 errors")


def test_one_percent_of_errors_is_borne_and_so_are_the_stable_servers_own() -> None:
    assert judge(Evidence(300, counts(297, INTERNAL=3), counts(900)), SETTINGS).ok
    usual = counts(900, INTERNAL=100)
    assert judge(Evidence(300, counts(267, INTERNAL=33), usual), SETTINGS).ok
    assert not judge(Evidence(300, counts(266, INTERNAL=34), usual), SETTINGS).ok


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "NOT_FOUND", "CANCELLED", "OUT_OF_RANGE"])
def test_callers_errors_count_as_a_ratio_to_the_stable_servers(status: str) -> None:
    usual = counts(900, INVALID_ARGUMENT=100)
    assert judge(Evidence(300, counts(207, **{status: 93}), usual), SETTINGS).ok
    verdict = judge(Evidence(300, counts(206, **{status: 94}), usual), SETTINGS)
    assert verdict.reasons == (
        f"94 of 300 requests were refused ({status}); 10.0% of the stable servers'",
    )
    assert ", 94 refused" in verdict.summary


@pytest.mark.parametrize("restarted", ["tried", "stable"])
def test_a_restart_of_the_release_refuses_it_and_one_of_the_others_does_not(restarted: str) -> None:
    reading = {"tried": counts(300), "stable": counts(900)}
    reading[restarted] = dataclasses.replace(reading[restarted], restarted=True)
    verdict = judge(Evidence(300, **reading), SETTINGS)
    assert verdict.ok == (restarted == "stable")
    assert not verdict.only_slow


def test_what_kubernetes_says_refuses_a_release() -> None:
    verdict = judge(
        Evidence(300, counts(300), problems=["canary-x: restarted (OOMKilled)"]), SETTINGS
    )
    assert verdict.reasons == ("canary-x: restarted (OOMKilled)",)
    assert not verdict.ok
    assert not verdict.only_slow


@pytest.mark.parametrize(("buckets", "ok"), [(0, True), (2, True), (3, False), (9, False)])
def test_p95_may_be_two_buckets_above_the_stable_servers(buckets: int, ok: bool) -> None:
    verdict = judge(Evidence(300, counts(300, 12 + buckets), counts(900, 12)), SETTINGS)
    assert verdict.ok == ok
    assert verdict.only_slow == (not ok)
    if not ok:
        bound = 10 * 1.8 ** (12 + buckets) / 1e3
        assert f"95 % of answers take up to {bound:.3g} ms, up to 11.6 ms" in verdict.reasons[0]


def test_what_takes_less_than_ten_milliseconds_is_never_slow() -> None:
    assert judge(Evidence(300, counts(300, 11), counts(900, 1)), SETTINGS).ok


def test_one_slow_answer_in_twenty_is_borne() -> None:
    assert judge(Evidence(300, counts(285, 10, slow=15), counts(900, 10)), SETTINGS).ok
    assert not judge(Evidence(300, counts(284, 10, slow=16), counts(900, 10)), SETTINGS).ok


def test_answers_above_every_bound_are_slow_and_stay_json() -> None:
    verdict = judge(Evidence(300, counts(300, 32), counts(900, 10)), SETTINGS)
    assert "longer than any bucket" in verdict.reasons[0]
    json.dumps(dataclasses.asdict(verdict), allow_nan=False)


def test_without_stable_servers_latencies_are_not_compared() -> None:
    verdict = judge(Evidence(300, counts(300, 20)), SETTINGS)
    assert verdict.ok
    assert "(stable an unknown time)" in verdict.summary


def test_few_callers_leave_the_verdict_to_golden_answers_and_the_record_says_so() -> None:
    sent = golden(900)
    verdict = judge(Evidence(900, with_golden(counts(4), sent), golden=sent), SETTINGS)
    assert verdict.ok
    assert verdict.requests == 4
    assert verdict.judged_by == "golden answers"
    assert verdict.summary == "4 requests of callers in 900 s: judged by 900 golden answers"


def test_some_callers_are_judged_beside_golden_answers() -> None:
    sent = golden(800)
    evidence = Evidence(900, with_golden(counts(100), sent), counts(300), sent)
    verdict = judge(evidence, SETTINGS)
    assert verdict.ok
    assert verdict.judged_by == "callers and golden answers"
    assert verdict.summary.startswith("100 requests in 900 s: 0 errors, p95 ")
    assert verdict.summary.endswith("; fewer than 200, so judged by 800 golden answers too")


@pytest.mark.parametrize("requests", [0, 1, MIN_JUDGED - 1])
def test_what_nothing_was_seen_of_is_not_good(requests: int) -> None:
    evidence = Evidence(900, counts(requests), counts(900))
    verdict = judge(evidence, SETTINGS)
    assert not verdict.ok
    assert verdict.judged_by == "nothing"
    assert verdict.summary.endswith("of callers in 900 s: judged by nothing")
    # While it may still come, that is no reason.
    assert judge_so_far(evidence, SETTINGS).ok


def test_golden_requests_that_fail_refuse_a_release_from_the_first() -> None:
    sent = [*golden(11), GoldenPair(GoldenAnswer("UNAVAILABLE", 30.0))]
    evidence = Evidence(60, with_golden(counts(2), golden(11)), golden=sent)
    for verdict in (judge(evidence, SETTINGS), judge_so_far(evidence, SETTINGS)):
        assert verdict.reasons == ("1 of 12 golden requests failed (UNAVAILABLE)",)


def test_golden_requests_that_fail_everywhere_refuse_no_release() -> None:
    failed = GoldenAnswer("UNAVAILABLE", 30.0)
    sent = [*golden(11, stable=0.004), GoldenPair(failed, failed)]
    evidence = Evidence(60, with_golden(counts(2), golden(11)), golden=sent)
    assert judge(evidence, SETTINGS).ok


def test_metrics_that_miss_golden_answers_are_not_trusted() -> None:
    verdict = judge(Evidence(60, counts(11), golden=golden(12)), SETTINGS)
    assert "count 11 answers although 12 golden requests" in verdict.reasons[0]
    assert not verdict.ok


def test_golden_answers_find_a_slow_graph_before_any_caller_does() -> None:
    slow = golden(MIN_GOLDEN_PAIRS, 0.050, 0.005)
    assert find_golden_slowness(slow) == [
        "golden answers take 50 ms, 10.0 times as long as on a stable server (10 pairs, medians)"
    ]
    # Too few, fast enough, not much slower, or nothing to compare with.
    assert find_golden_slowness(slow[1:]) == []
    assert find_golden_slowness(golden(20, 0.009, 0.001)) == []
    assert find_golden_slowness(golden(20, 0.030, 0.010)) == []
    assert find_golden_slowness(golden(20, 0.500)) == []
    # A few that the machine held up.
    assert find_golden_slowness([*golden(20, 0.005, 0.005), *slow]) == []
    verdict = judge(Evidence(60, with_golden(Counts(), slow), golden=slow), SETTINGS)
    assert verdict.only_slow


def test_an_early_error_is_no_verdict_before_the_time() -> None:
    one = Evidence(5, counts(20, INTERNAL=1), counts(60))
    assert judge_so_far(one, SETTINGS).ok
    assert not judge(one, SETTINGS).ok
    # These would be too many whatever follows.
    assert not judge_so_far(Evidence(5, counts(20, INTERNAL=3), counts(60)), SETTINGS).ok
    slow = Evidence(5, counts(20, slow=5), counts(60))
    assert judge_so_far(slow, SETTINGS).ok
    assert not judge_so_far(Evidence(5, counts(20, slow=11), counts(60)), SETTINGS).ok


def test_a_large_min_requests_does_not_keep_a_broken_canary() -> None:
    settings = CanarySettings(min_requests=1_000_000)
    assert not judge_so_far(Evidence(5, counts(20, INTERNAL=4), counts(60)), settings).ok


@pytest.mark.parametrize(
    ("elapsed", "requests", "idle", "over"),
    [
        (299, 10_000, 0, False),
        (300, 199, 0, False),
        (300, 200, 0, True),
        (340, 200, 60, False),
        (360, 200, 60, True),
        (899, 0, 899, False),
        (900, 0, 900, True),
    ],
)
def test_a_bake_ends_with_enough_requests_or_at_its_longest(
    elapsed: float, requests: int, idle: float, over: bool
) -> None:
    assert is_bake_over(elapsed, requests, SETTINGS, idle) == over


def test_no_bake_is_over_at_once() -> None:
    assert is_bake_over(0, 0, CanarySettings(bake_s=0))


def test_golden_requests_are_taken_out_of_counts_and_latencies() -> None:
    callers = total([counts(60, 10, INTERNAL=1), counts(40, 13)])
    sent = golden(50, BOUNDS[11] * 0.9 / 1e6)
    # The server took less time than its sender saw: a bucket lower.
    rest = without_golden(total([callers, counts(50, 10)]), [pair.tried for pair in sent])
    assert rest == callers


def test_callers_who_wait_are_seen_among_many_fast_golden_answers() -> None:
    sent = golden(900, BOUNDS[FAST] * 0.9 / 1e6)
    mixed = total([counts(100, 20), counts(900, FAST)])
    verdict = judge(Evidence(900, mixed, counts(300), sent), SETTINGS)
    assert verdict.only_slow
    assert verdict.p95_ms == pytest.approx(BOUNDS[20] / 1e3)


statuses = st.sampled_from(["INTERNAL", "UNAVAILABLE", "INVALID_ARGUMENT", "CANCELLED"])
histograms = st.dictionaries(st.integers(0, len(BOUNDS) - 1), st.integers(0, 300), max_size=4)


@st.composite
def readings(draw: st.DrawFn) -> Counts:
    per_bucket = draw(histograms)
    errors = draw(st.dictionaries(statuses, st.integers(1, 40), max_size=3))
    answers = sum(per_bucket.values())
    latencies = tuple(
        (bound, sum(n for k, n in per_bucket.items() if k <= i)) for i, bound in enumerate(BOUNDS)
    )
    ok = {"OK": answers} if answers else {}
    return Counts({**ok, **errors}, latencies if answers else ())


evidence_of_callers = st.builds(Evidence, st.floats(1, 900), readings(), readings())


@given(evidence_of_callers, st.integers(1, 100), st.sampled_from(["INTERNAL", "NOT_FOUND"]))
def test_more_errors_never_take_back_a_refusal_for_errors_of_their_kind(
    evidence: Evidence, more: int, status: str
) -> None:
    word = "failed" if status in SERVER_ERRORS else "were refused"
    worse = dataclasses.replace(evidence, tried=total([evidence.tried, Counts({status: more})]))
    assume(any(word in reason for reason in judge(evidence, SETTINGS).reasons))
    assert any(word in reason for reason in judge(worse, SETTINGS).reasons)


@given(evidence_of_callers, st.data())
def test_an_answer_that_fails_instead_never_makes_a_bad_release_good(
    evidence: Evidence, data: st.DataObject
) -> None:
    """The same requests, some answered by errors of the server: of the kind that was found."""
    answers = evidence.tried.requests.get("OK", 0)
    lost = data.draw(st.integers(0, answers))
    requests = {**evidence.tried.requests, "OK": answers - lost}
    requests["INTERNAL"] = requests.get("INTERNAL", 0) + lost
    worse = dataclasses.replace(evidence.tried, requests=requests)
    if not judge(evidence, SETTINGS).ok:
        assert not judge(dataclasses.replace(evidence, tried=worse), SETTINGS).ok


@given(evidence_of_callers, st.integers(0, len(BOUNDS) - 1), st.data())
def test_slower_answers_never_make_a_bad_release_good(
    evidence: Evidence, bucket: int, data: st.DataObject
) -> None:
    """Some answers move to a slower bucket: fewer are within this one's bound."""
    latencies = list(evidence.tried.latencies)
    assume(latencies and bucket < len(latencies) - 1)
    bound, n = latencies[bucket]
    least = latencies[bucket - 1][1] if bucket else 0
    latencies[bucket] = (bound, data.draw(st.integers(least, n)))
    slower = dataclasses.replace(evidence.tried, latencies=tuple(latencies))
    if not judge(evidence, SETTINGS).ok:
        assert not judge(dataclasses.replace(evidence, tried=slower), SETTINGS).ok


@given(evidence_of_callers, st.integers(2, 50))
def test_more_of_the_same_changes_no_verdict(evidence: Evidence, times: int) -> None:
    assume(judge(evidence, SETTINGS).judged_by == "callers")
    assume(evidence.tried.requests.get("OK", 0) >= MIN_JUDGED)
    assume(evidence.stable.requests.get("OK", 0) >= MIN_JUDGED)
    many = dataclasses.replace(
        evidence, tried=total([evidence.tried] * times), stable=total([evidence.stable] * times)
    )
    once, often = judge(evidence, SETTINGS), judge(many, SETTINGS)
    assert (once.ok, once.only_slow) == (often.ok, often.only_slow)
    assert (once.p95_ms, once.stable_p95_ms) == (often.p95_ms, often.stable_p95_ms)


@given(evidence_of_callers)
def test_what_is_refused_before_the_time_is_refused_at_its_end(evidence: Evidence) -> None:
    if not judge_so_far(evidence, SETTINGS).ok:
        assert not judge(evidence, SETTINGS).ok


@given(evidence_of_callers, st.integers(0, 200))
def test_golden_requests_change_no_count_of_callers(evidence: Evidence, sent: int) -> None:
    pairs = golden(sent)
    mixed = dataclasses.replace(evidence, tried=with_golden(evidence.tried, pairs), golden=pairs)
    alone, beside = judge(evidence, SETTINGS), judge(mixed, SETTINGS)
    assert (alone.requests, alone.errors, alone.callers_errors) == (
        beside.requests,
        beside.errors,
        beside.callers_errors,
    )
    assert beside.golden == sent


@given(readings(), st.lists(st.floats(0, 60), max_size=50), st.booleans())
def test_taking_golden_requests_out_never_makes_callers_slower(
    callers: Counts, seconds: list[float], fail: bool
) -> None:
    answers = [GoldenAnswer("INTERNAL" if fail else "OK", s) for s in seconds]
    own = total(
        Counts(
            {answer.status: 1},
            ()
            if fail
            else tuple((bound, int(answer.seconds * 0.5e6 <= bound)) for bound in BOUNDS),
        )
        for answer in answers
    )
    rest = without_golden(total([callers, own]), answers)
    assert rest.requests == callers.requests
    within = [n for _, n in rest.latencies]
    assert within == sorted(within)
    for bound, n in callers.latencies:
        assert dict(rest.latencies)[bound] >= n


@given(
    st.lists(st.tuples(st.floats(1e-4, 10), st.floats(1e-4, 10)), min_size=MIN_GOLDEN_PAIRS),
    st.integers(0, 100),
    st.floats(1, 100),
)
def test_a_slower_golden_answer_never_makes_a_slow_release_fast(
    seconds: list[tuple[float, float]], which: int, factor: float
) -> None:
    def pairs(times: list[tuple[float, float]]) -> list[GoldenPair]:
        return [GoldenPair(GoldenAnswer("OK", a), GoldenAnswer("OK", b)) for a, b in times]

    slower = list(seconds)
    index = which % len(seconds)
    slower[index] = (slower[index][0] * factor, slower[index][1])
    if find_golden_slowness(pairs(seconds)):
        assert find_golden_slowness(pairs(slower))
