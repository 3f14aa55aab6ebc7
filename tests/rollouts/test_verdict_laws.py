"""Laws of the verdict on a canary, for any evidence."""

import dataclasses

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
    judge,
    judge_so_far,
)

from support.canary_counts import BOUNDS, SETTINGS, golden, with_golden

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
