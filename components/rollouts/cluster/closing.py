"""What follows a promotion: verify every endpoint and record the champion, or go back."""

import contextlib
from collections.abc import Iterator
from typing import Any

from emotion_ai.errors import EmotionAIError, InputError, VerificationError
from emotion_ai.registry.champion import (
    ChampionReplaced,
    champion_generation,
    read_champion,
    write_champion,
)
from emotion_ai.registry.releases import read_release
from emotion_ai.registry.scores import headline
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.rollouts.cluster.api import Forbidden, NotFound
from emotion_ai.rollouts.cluster.bake import Groups, watch
from emotion_ai.rollouts.cluster.canary import remove_canaries
from emotion_ai.rollouts.cluster.context import Context, say
from emotion_ai.rollouts.cluster.deployment import Deployment, release_patch
from emotion_ai.rollouts.cluster.events import record_event
from emotion_ai.rollouts.cluster.journal import Journal
from emotion_ai.rollouts.cluster.promotion import (
    MovedByPerson,
    endpoint_pods,
    prove_endpoints,
    wait_until_complete,
)
from emotion_ai.rollouts.settings import CanarySettings
from emotion_ai.rollouts.verification import GoldenRequests, read_golden_requests


def finish(ctx: Context, release: int, digest: str) -> None:
    """Wait for a promoted release, verify every endpoint, and make it the champion.

    Args:
        ctx: The rollout; the release may be another one's, left by a process that was killed.
        release: The release that the Deployment is at.
        digest: Its content digest.

    Raises:
        VerificationError: It is not what the endpoints answer as: the last proven release is back.
        MovedByPerson: The Deployment is at another release; nothing more is changed.
        Unavailable: The cluster or the registry does not answer; the next rollout goes on.
    """
    journal = ctx.journal.model_copy(update={"release": release, "digest": digest})
    if journal.phase == "done":
        journal = journal.model_copy(update={"run": ctx.wanted.run, "previous": release})
    with _left_to_persons(ctx, release):
        try:
            deployment = _prove_promoted(ctx, journal)
        except VerificationError as error:
            _check_unmoved(ctx, release)
            _go_back(ctx, journal, str(error))
            return
        ctx.remove_canaries()
        _write_champion(ctx, release)
        done = ctx.journal.model_copy(update={"proven": release, "proven_digest": digest})
        ctx.close_for(release, done.with_outcome(""))
        if release == ctx.wanted.release:
            ctx.record["outcome"] = "rolled out"
        ctx.tell(release, deployment, "RolledOut", _rolled_out_words(ctx, deployment))


@contextlib.contextmanager
def _left_to_persons(ctx: Context, release: int) -> Iterator[None]:
    """End the work on a release where somebody moves the Deployment: no verdict, no patch."""
    try:
        yield
    except MovedByPerson as error:
        ctx.remove_canaries()
        ctx.close_for(release, ctx.journal)
        if release == ctx.wanted.release:
            raise
        say(f"release {release}: {error}")


def _check_unmoved(ctx: Context, release: int) -> None:
    """Raise `MovedByPerson` where what was seen need not be of this release."""
    current = ctx.read().release
    if current != release:
        raise MovedByPerson(
            f"the Deployment was moved from release {release} to {current or 'none'} meanwhile; "
            f"nothing more is changed, and release {release} is not judged"
        )


def _prove_promoted(ctx: Context, journal: Journal) -> Deployment:
    release = journal.release or 0
    try:
        golden = read_golden_requests(ctx.registry, release)
    except InputError as error:
        raise VerificationError(str(error)) from None
    with ctx.timed("pods"):
        deployment = wait_until_complete(
            ctx.cluster, ctx.settings.deployment, release, ctx.settings.timeout_s, say
        )
    ctx.record |= {"revision": deployment.revision, "replicas": deployment.replicas}
    ctx.write(journal, phase="verifying")
    with ctx.timed("endpoints"):
        ctx.record["endpoints"] = _verify(ctx, release, golden)
    with ctx.timed("watch"):
        _watch(ctx, release, golden)
    return deployment


def _verify(ctx: Context, release: int, golden: GoldenRequests) -> list[dict[str, Any]]:
    endpoints = prove_endpoints(
        ctx.cluster, ctx.connections, release, golden, ctx.settings.timeout_s
    )
    ctx.record["largest_difference"] = max(e["largest_difference"] for e in endpoints)
    return endpoints


def _watch(ctx: Context, release: int, golden: GoldenRequests) -> None:
    seconds = ctx.settings.watch_s
    if not seconds:
        return

    def list_pods() -> Groups:
        ctx.lease.check_renewal()
        _check_unmoved(ctx, release)
        pods = endpoint_pods(ctx.cluster)
        if not pods:
            raise VerificationError("no server is ready for callers")
        return Groups(pods, [])

    say(f"release {release}: every server answers as it; they are watched for {seconds:g} s")
    settings = CanarySettings(bake_s=seconds, max_bake_s=seconds, min_requests=0)
    verdict = watch(ctx.connections, release, golden, list_pods, settings)
    ctx.record["watched"] = verdict.summary
    if not verdict.ok:
        raise VerificationError("; ".join(verdict.reasons))


def go_back(ctx: Context, reason: str) -> None:
    """Finish the way back from the journal's release: the last proven one serves again.

    Args:
        ctx: The rollout.
        reason: Why.

    Raises:
        MovedByPerson: Somebody has moved the Deployment; nothing more is changed.
        VerificationError: The wanted release was gone back from; says why, and what serves.
        Unavailable: The cluster or the registry does not answer; the next rollout goes on.
    """
    with _left_to_persons(ctx, ctx.journal.release or 0):
        _go_back(ctx, ctx.journal, reason)


def _go_back(ctx: Context, journal: Journal, reason: str) -> None:
    release, proven = journal.release or 0, journal.proven
    failed = journal.with_outcome(reason)
    if release == ctx.wanted.release:
        ctx.record["outcome"] = "rolled back"
    if proven == release:
        ctx.remove_canaries()
        outcome = "it serves, because nothing else is proven to go back to"
    else:
        with ctx.timed("way back"):
            outcome = _put_back(ctx, failed, reason)
    ctx.close_for(release, failed)
    if release == ctx.wanted.release:
        raise VerificationError(f"release {release} is not rolled out: {reason}; {outcome}")


def _put_back(ctx: Context, journal: Journal, reason: str) -> str:
    """Move the Deployment to the last proven release; return the outcome in words."""
    release, proven = journal.release or 0, journal.proven

    def build(deployment: Deployment) -> dict[str, Any]:
        if deployment.release not in (release, proven):
            raise MovedByPerson(
                f"deployment {deployment.name}: was moved to release {deployment.release} "
                f"meanwhile; nothing more is changed"
            )
        ctx.write(journal, phase="back")
        remove_canaries(ctx.cluster)
        cause = f"back to release {proven}: {reason}" if proven else f"release taken out: {reason}"
        digest = journal.proven_digest
        return release_patch(
            deployment, release=proven, digest=digest, cause=cause, holder=ctx.lease.holder
        )

    deployment = ctx.change(build)
    ctx.tell(release, deployment, "RolledBack", f"back to release {proven or 'none'}: {reason}")
    if proven is None:
        return "no release serves, as before"
    outcome = _restore(ctx, proven)
    _write_champion(ctx, proven)
    return outcome


def _restore(ctx: Context, proven: int) -> str:
    """Wait for the proven release; what it lacks is said, and keeps nobody from going forward."""
    try:
        wait_until_complete(ctx.cluster, ctx.settings.deployment, proven, ctx.settings.timeout_s)
        golden = read_golden_requests(ctx.registry, proven)
        ctx.record["endpoints"] = _verify(ctx, proven, golden)
    except (VerificationError, InputError) as error:
        return f"release {proven} is put back but does not answer: {error}"
    return f"release {proven} serves again"


def adopt(ctx: Context, deployment: Deployment) -> str:
    """Make a release proven that a person rolled out, once every endpoint answers as it.

    Args:
        ctx: The rollout.
        deployment: As it was read.

    Returns:
        What was done, or why the release is not adopted, in one sentence. No verdict on it: what a
        person does may be for a moment.
    """
    release = deployment.release or 0
    moved = "was put back with kubectl" if ctx.journal.proven else "was rolled out elsewhere"
    try:
        wait_until_complete(ctx.cluster, ctx.settings.deployment, release, ctx.settings.timeout_s)
        _verify(ctx, release, read_golden_requests(ctx.registry, release))
        digest = read_release(ctx.registry, release).content_digest
        adopted = {"release": release, "digest": digest}
        adopted |= {"proven": release, "proven_digest": digest}
        ctx.write(ctx.journal.model_copy(update=adopted), phase="done")
        _write_champion(ctx, release)
    except MovedByPerson as error:
        return f"release {release} is not adopted: {error}"
    except (NotFound, Forbidden):
        raise
    except (InputError, VerificationError) as error:
        ctx.unadoptable = release
        return f"release {release}, rolled out by somebody else, is not adopted: {error}"
    message = f"release {release} {moved}; adopted"
    record_event(ctx.cluster, deployment, "Adopted", message)
    return message


def warn_of_judged(ctx: Context, deployment: Deployment, reason: str) -> str:
    """Record that a person rolled out what was judged bad here; return it in one sentence."""
    message = (
        f"release {deployment.release} was judged bad here ({reason}), and somebody has rolled it "
        "out all the same; it stays, and is not adopted"
    )
    record_event(ctx.cluster, deployment, "JudgedBadBefore", message)
    return message


def _write_champion(ctx: Context, release: int) -> None:
    """Record the champion, if lease and Deployment are still this rollout's."""
    with exclusive_writer(ctx.registry):
        while True:
            generation = champion_generation(ctx.registry)
            ctx.lease.check()
            _check_unmoved(ctx, release)
            if read_champion(ctx.registry) == release:
                return
            # Another rollout may have written it since, if this process stood still.
            with contextlib.suppress(ChampionReplaced):
                write_champion(ctx.registry, release, generation)
                return


def _rolled_out_words(ctx: Context, deployment: Deployment) -> str:
    count = sum(endpoint["track"] == "stable" for endpoint in ctx.record.get("endpoints", []))
    before = ctx.record.get("previous") or "none"
    return (
        f"revision {deployment.revision}, {count} of {deployment.replicas} pods answer as release "
        f"{deployment.release} (before: {before})"
    )


def release_words(ctx: Context, release: int) -> str:
    """Return what `kubectl rollout history` says of a release."""
    summary = ctx.record.get("canary", {}).get("summary", "")
    scores = _scores(ctx, release)
    parts = (scores and f": {scores}", summary and f"; canary {summary}")
    reason = f"; {ctx.reason}" if ctx.reason else ""
    return f"release {release}, run {ctx.wanted.run}{''.join(parts)}{reason}"


def _scores(ctx: Context, release: int) -> str:
    before = ctx.record.get("previous")
    former = None
    if before is not None:
        # Words alone: what served before may be gone, or damaged.
        with contextlib.suppress(EmotionAIError):
            former = read_release(ctx.registry, before)
    return headline(read_release(ctx.registry, release), former)
