"""Verdicts on a release: what refuses it, what does not, and how honestly it is said."""

import dataclasses
import json

import pytest

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

from support.canary_counts import BOUNDS, FAST, SETTINGS, counts, golden, with_golden


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
