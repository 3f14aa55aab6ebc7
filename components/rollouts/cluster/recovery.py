"""What a rollout finds when it has taken the lease, and what has to be done first. Pure.

The rules are those of an explicit-state model of the protocol, which was searched for every
interleaving of two rollouts, kills and a person's acts; each rule's name there is in brackets.
"""

from typing import Literal, NamedTuple

from emotion_ai.rollouts.cluster.journal import Journal

# - clean up: delete every canary, write "done", and look again;
# - finish: go on with the journal's release where its promotion is waited for;
# - go back: finish the way back from the journal's release;
# - superseded: end, because a newer release serves;
# - adopt: wait for what a person rolled out, and make it proven;
# - verify: the Deployment is at the wanted release already;
# - ended: this run's rollout of this release has ended before;
# - begin: try the release.
Act = Literal["clean up", "finish", "go back", "superseded", "adopt", "verify", "ended", "begin"]


class Observation(NamedTuple):
    """What was read after the lease was taken and fenced.

    Attributes:
        journal: The Lease's journal.
        release: The Deployment's release; None before the first rollout.
        champion: The release that the registry's models.config names.
        has_canaries: Whether any canary's Job is left.
        is_adoptable: False once this process has found that what a person rolled out does not
            come up, or does not answer as its release.
    """

    journal: Journal
    release: int | None
    champion: int | None
    has_canaries: bool
    is_adoptable: bool = True


class Wanted(NamedTuple):
    """The rollout that holds the lease.

    Attributes:
        release: The release to roll out.
        digest: Its content digest.
        run: The run's id.
        may_go_back: Whether it may replace a newer release: a person's rollout may.
    """

    release: int
    digest: str
    run: str
    may_go_back: bool


def decide(found: Observation, wanted: Wanted) -> Act:
    """Decide what the holder of the lease does next.

    Unfinished work of anybody comes first, whatever the wanted release is [finish]; a journal that
    says "promoting" while the Deployment is elsewhere was never patched [patched]; a pipeline never
    replaces a newer release [newer]; never is a release adopted that was judged bad [adopt].
    """
    journal = found.journal
    if journal.phase in ("canary", "baking"):
        return "clean up"
    if journal.phase == "promoting":
        return "finish" if found.release == journal.release else "clean up"
    if journal.phase == "verifying":
        return "finish"
    if journal.phase == "back":
        return "go back"
    if found.has_canaries:
        return "clean up"
    if not wanted.may_go_back and found.release is not None and found.release > wanted.release:
        return "superseded"
    return _own_act(found, wanted)


def _own_act(found: Observation, wanted: Wanted) -> Act:
    if needs_adoption(found):
        return "adopt"
    outcome = found.journal.outcome(wanted.digest, wanted.run)
    if outcome is not None and (outcome.reason or found.release != wanted.release):
        return "ended"
    return "verify" if found.release == wanted.release else "begin"


def needs_adoption(found: Observation) -> bool:
    """Whether a person rolled out what the Deployment serves, and it was not judged bad."""
    return _is_persons(found) and found.is_adoptable and not judgement(found)


def judgement(found: Observation) -> str:
    """Why the release was judged bad here that a person rolled out all the same; "" if not so."""
    return found.journal.failure(found.release or 0) if _is_persons(found) else ""


def _is_persons(found: Observation) -> bool:
    moved = {found.champion, found.journal.proven} != {found.release}
    return found.journal.phase == "done" and found.release is not None and moved
