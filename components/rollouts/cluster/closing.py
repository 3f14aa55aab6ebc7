"""What follows a promotion: verify every endpoint and record the champion, or go back."""

from typing import Any

from emotion_ai.errors import InputError, VerificationError
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.releases import read_release
from emotion_ai.registry.writer import exclusive_writer
from emotion_ai.rollouts.cluster.api import Forbidden, NotFound
from emotion_ai.rollouts.cluster.bake import Groups, watch
from emotion_ai.rollouts.cluster.canary import remove_canaries
from emotion_ai.rollouts.cluster.context import Context
from emotion_ai.rollouts.cluster.deployment import Deployment, release_patch
from emotion_ai.rollouts.cluster.events import record_event
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
    is_new = ctx.journal.phase == "done"
    changes: dict[str, Any] = {"release": release, "digest": digest}
    if is_new:
        changes |= {"run": ctx.wanted.run, "previous": release}
    try:
        deployment = _prove_promoted(ctx, release, changes)
        remove_canaries(ctx.cluster)
        _write_champion(ctx, release)
    except MovedByPerson:
        _leave(ctx)
        raise
    except VerificationError as error:
        ctx.write(**changes)
        go_back(ctx, release, str(error))
        return
    done = ctx.journal.model_copy(update={"proven": release, "proven_digest": digest})
    ctx.close_for(release, done.with_outcome(""))
    if release == ctx.wanted.release:
        ctx.record["outcome"] = "rolled out"
    ctx.tell(deployment, "RolledOut", _rolled_out_words(ctx, deployment))


def _prove_promoted(ctx: Context, release: int, changes: dict[str, Any]) -> Deployment:
    try:
        golden = read_golden_requests(ctx.registry, release)
    except InputError as error:
        raise VerificationError(str(error)) from None
    with ctx.timed("pods"):
        deployment = wait_until_complete(
            ctx.cluster, ctx.settings.deployment, release, ctx.settings.timeout_s
        )
    ctx.record |= {"revision": deployment.revision, "replicas": deployment.replicas}
    ctx.write(phase="verifying", **changes)
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
        if ctx.read().release != release:
            raise MovedByPerson(f"the Deployment was moved from release {release} meanwhile")
        pods = endpoint_pods(ctx.cluster)
        if not pods:
            raise VerificationError("no server is ready for callers")
        return Groups(pods, [])

    settings = CanarySettings(bake_s=seconds, max_bake_s=seconds, min_requests=0)
    verdict = watch(ctx.connections, release, golden, list_pods, settings)
    ctx.record["watched"] = verdict.summary
    if not verdict.ok:
        raise VerificationError("; ".join(verdict.reasons))


def go_back(ctx: Context, release: int, reason: str) -> None:
    """Put the last proven release back, wait for it and verify it.

    Args:
        ctx: The rollout.
        release: The release to go back from.
        reason: Why.

    Raises:
        MovedByPerson: Somebody has moved the Deployment; nothing more is changed.
        VerificationError: The wanted release was gone back from; says why, and what serves.
        Unavailable: The cluster or the registry does not answer; the next rollout goes on.
    """
    proven = ctx.journal.proven
    if proven == release:
        failed = ctx.journal.model_copy(update={"release": release}).with_outcome(reason)
        outcome = "it serves, because nothing else is proven to go back to"
        ctx.close_for(release, failed)
    else:
        try:
            outcome = _go_back(ctx, release, proven, reason)
        except MovedByPerson:
            _leave(ctx)
            raise
        ctx.close_for(release, ctx.journal)
    if release == ctx.wanted.release:
        raise VerificationError(f"release {release} is not rolled out: {reason}; {outcome}")


def _go_back(ctx: Context, release: int, proven: int | None, reason: str) -> str:
    """Move the Deployment to the last proven release; return the outcome in words."""

    def build(deployment: Deployment) -> dict[str, Any]:
        if deployment.release not in (release, proven):
            raise MovedByPerson(
                f"deployment {deployment.name}: was moved to release {deployment.release} "
                f"meanwhile; nothing more is changed"
            )
        outcomes = ctx.journal.model_copy(update={"release": release}).with_outcome(reason).outcomes
        ctx.write(phase="back", release=release, outcomes=outcomes)
        remove_canaries(ctx.cluster)
        cause = f"back to release {proven}: {reason}" if proven else f"release taken out: {reason}"
        digest = ctx.journal.proven_digest
        return release_patch(
            deployment, release=proven, digest=digest, cause=cause, holder=ctx.lease.holder
        )

    if release == ctx.wanted.release:
        ctx.record["outcome"] = "rolled back"
    with ctx.timed("way back"):
        deployment = ctx.change(build)
        ctx.tell(deployment, "RolledBack", f"back to release {proven or 'none'}: {reason}")
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
    try:
        wait_until_complete(ctx.cluster, ctx.settings.deployment, release, ctx.settings.timeout_s)
        _verify(ctx, release, read_golden_requests(ctx.registry, release))
        digest = read_release(ctx.registry, release).content_digest
        ctx.write(phase="done", release=release, proven=release, proven_digest=digest)
        _write_champion(ctx, release)
    except MovedByPerson as error:
        return f"release {release} is not adopted: {error}"
    except (NotFound, Forbidden):
        raise
    except (InputError, VerificationError) as error:
        ctx.unadoptable = release
        return f"release {release}, rolled out by somebody else, is not adopted: {error}"
    message = f"release {release} was put back with kubectl; adopted"
    record_event(ctx.cluster, deployment, "Adopted", message)
    return message


def _write_champion(ctx: Context, release: int) -> None:
    """Record the champion, if lease and Deployment are still this rollout's."""
    with exclusive_writer(ctx.registry):
        ctx.lease.check()
        current = ctx.read().release
        if current != release:
            raise MovedByPerson(
                f"the Deployment was moved to release {current} meanwhile; models.config still "
                f"names release {read_champion(ctx.registry)}"
            )
        if read_champion(ctx.registry) != release:
            write_champion(ctx.registry, release)


def _leave(ctx: Context) -> None:
    """End without a verdict: what a person has done stays."""
    remove_canaries(ctx.cluster)
    ctx.close(ctx.journal)


def _rolled_out_words(ctx: Context, deployment: Deployment) -> str:
    count = len(ctx.record.get("endpoints", []))
    before = ctx.record.get("previous") or "none"
    return (
        f"revision {deployment.revision}, {count} of {deployment.replicas} pods answer as release "
        f"{deployment.release} (before: {before})"
    )


def release_words(ctx: Context, release: int) -> str:
    """Return what `kubectl rollout history` says of a release."""
    summary = ctx.record.get("canary", {}).get("summary", "")
    canary = f"; canary {summary}" if summary else ""
    reason = f"; {ctx.reason}" if ctx.reason else ""
    return f"release {release}, run {ctx.wanted.run}{canary}{reason}"
