"""What a rollout does first, as a pure function of what it finds; the design has the table."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_ai.rollouts.cluster.journal import Journal, Outcome
from emotion_ai.rollouts.cluster.recovery import Observation, Wanted, decide

_RELEASES = st.sampled_from([5, 6, 7, 8])
_RUNS = st.sampled_from(["run-a", "run-b"])
_DIGESTS = {5: "five", 6: "six", 7: "seven", 8: "eight"}
# Most rollouts end.
_PHASES = ["done"] * 5 + ["canary", "baking", "promoting", "verifying", "back"]


@st.composite
def _journals(draw: st.DrawFn) -> Journal:
    outcomes = []
    for _ in range(draw(st.integers(0, 3))):
        release = draw(_RELEASES)
        reason = draw(st.sampled_from(["", "answers differ"]))
        outcome = Outcome(digest=_DIGESTS[release], run=draw(_RUNS), release=release, reason=reason)
        others = [o for o in outcomes if (o.digest, o.run) != (outcome.digest, outcome.run)]
        outcomes = [*others, outcome]
    release = draw(_RELEASES)
    return Journal(
        phase=draw(st.sampled_from(_PHASES)),
        release=release,
        digest=_DIGESTS[release],
        run=draw(_RUNS),
        proven=draw(st.none() | _RELEASES),
        outcomes=tuple(outcomes),
    )


_OBSERVATIONS = st.builds(
    Observation,
    journal=_journals(),
    release=st.none() | _RELEASES,
    champion=st.none() | _RELEASES,
    has_canaries=st.booleans(),
    is_adoptable=st.booleans(),
)


@st.composite
def _wanted(draw: st.DrawFn) -> Wanted:
    release = draw(_RELEASES)
    return Wanted(release, _DIGESTS[release], draw(_RUNS), draw(st.booleans()))


class _Facts(NamedTuple):
    """What the table asks, in words of its own."""

    phase: str
    is_at_journals: bool
    has_canaries: bool
    serves_newer: bool
    is_at_wanted: bool
    is_drifted: bool
    ended: bool
    ended_badly: bool


def _facts(found: Observation, wanted: Wanted) -> _Facts:
    journal, release = found.journal, found.release
    own = [o for o in journal.outcomes if (o.digest, o.run) == (wanted.digest, wanted.run)]
    newest = [o.reason for o in journal.outcomes if o.release == release][-1:]
    differs = release != found.champion or release != journal.proven
    return _Facts(
        phase=journal.phase,
        is_at_journals=release == journal.release,
        has_canaries=found.has_canaries,
        serves_newer=release is not None and release > wanted.release and not wanted.may_go_back,
        is_at_wanted=release == wanted.release,
        is_drifted=release is not None and differs and found.is_adoptable and newest in ([], [""]),
        ended=bool(own),
        ended_badly=any(o.reason for o in own),
    )


# The first row that fits says what is done.
_TABLE: list[tuple[str, Callable[[_Facts], Any], str]] = [
    ("killed before the promotion", lambda f: f.phase in ("canary", "baking"), "clean up"),
    (
        "killed before its patch",
        lambda f: f.phase == "promoting" and not f.is_at_journals,
        "clean up",
    ),
    ("killed after its patch", lambda f: f.phase == "promoting", "finish"),
    ("killed while it verified", lambda f: f.phase == "verifying", "finish"),
    ("killed on the way back", lambda f: f.phase == "back", "go back"),
    ("a stray canary", lambda f: f.has_canaries, "clean up"),
    ("a newer release serves", lambda f: f.serves_newer, "superseded"),
    ("a person has rolled out", lambda f: f.is_drifted, "adopt"),
    ("judged in this run", lambda f: f.ended_badly, "ended"),
    ("rolled out in this run, replaced since", lambda f: f.ended and not f.is_at_wanted, "ended"),
    ("there already", lambda f: f.is_at_wanted, "verify"),
    ("otherwise", lambda f: True, "begin"),
]


@settings(max_examples=600)
@given(found=_OBSERVATIONS, wanted=_wanted())
def test_decide_follows_the_table(found: Observation, wanted: Wanted) -> None:
    facts = _facts(found, wanted)
    expected = next(act for _, fits, act in _TABLE if fits(facts))
    assert decide(found, wanted) == expected


@given(found=_OBSERVATIONS, wanted=_wanted())
def test_nothing_is_begun_before_what_others_left_is_finished(
    found: Observation, wanted: Wanted
) -> None:
    if found.journal.phase != "done":
        assert decide(found, wanted) in ("clean up", "finish", "go back")
    # A second look after each of these finds the phase "done", no canary, and a known release.
    done = found.journal.model_copy(update={"phase": "done"})
    clean = found._replace(journal=done, has_canaries=False)
    assert decide(clean, wanted) not in ("clean up", "finish", "go back")
    assert decide(clean._replace(is_adoptable=False), wanted) != "adopt"
    proven = done.model_copy(update={"proven": found.release})
    adopted = clean._replace(journal=proven, champion=found.release)
    assert decide(adopted, wanted) in ("superseded", "ended", "verify", "begin")


@given(found=_OBSERVATIONS, wanted=_wanted())
def test_a_pipeline_never_replaces_a_newer_release(found: Observation, wanted: Wanted) -> None:
    pipeline = wanted._replace(may_go_back=False)
    if found.release is not None and found.release > wanted.release:
        assert decide(found, pipeline) not in ("begin", "verify")
        person = wanted._replace(may_go_back=True, run="of a person")
        clean = found.journal.model_copy(update={"phase": "done", "proven": found.release})
        at_rest = found._replace(journal=clean, champion=found.release, has_canaries=False)
        assert decide(at_rest, person) == "begin"
