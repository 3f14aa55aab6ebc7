"""Roll a release out in a cluster: canary, proof, bake, promotion, verification, or the way back.

The phases and what is done after a kill in each are those of `journal.Phase` and
`recovery.decide`. Each change of the Deployment is a read, a write of the lease, and a patch that
applies to what was read alone.
"""

import contextlib
from typing import Any

from emotion_ai.errors import EmotionAIError, Unavailable, VerificationError
from emotion_ai.registry.releases import read_release, verify_release
from emotion_ai.rollouts.cluster.api import ApiUnavailable, Cluster, connect
from emotion_ai.rollouts.cluster.closing import (
    adopt,
    finish,
    go_back,
    release_words,
    warn_of_judged,
)
from emotion_ai.rollouts.cluster.connections import PodConnections
from emotion_ai.rollouts.cluster.context import Context, Request, say
from emotion_ai.rollouts.cluster.deployment import Deployment, release_patch
from emotion_ai.rollouts.cluster.events import record_event
from emotion_ai.rollouts.cluster.lease import LeaseLost, acquire_lease, new_holder
from emotion_ai.rollouts.cluster.preflight import check_installation
from emotion_ai.rollouts.cluster.promotion import MovedByPerson
from emotion_ai.rollouts.cluster.recovery import Observation, Wanted, decide, judgement
from emotion_ai.rollouts.cluster.trial import try_release
from emotion_ai.rollouts.settings import RolloutSettings
from emotion_ai.rollouts.verification import read_golden_requests


class _Superseded(Exception):
    """A newer release serves."""


def roll_out_in_cluster(
    request: Request, settings: RolloutSettings, record: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Roll a release out in the cluster of this pod, or of the kubeconfig.

    Args:
        request: What to roll out, and for whom.
        settings: Where and how.
        record: Is filled as the rollout goes on, so that what happened is known if this raises.

    Returns:
        The record: `outcome` ("rolled out", "unchanged" or "superseded"; if this raises,
        "refused", "rolled back", "interrupted" or "failed"), `version`, `previous`, `namespace`,
        `revision`, `replicas`, `canary`, `endpoints`, `answers_checked`, `largest_difference`,
        `phases`.

    Raises:
        InputError: The release, the installation or rights are missing; nothing has changed.
        VerificationError: The release is refused, or was rolled back; says why.
        Unavailable: The cluster or the registry does not answer, or another rollout goes on.
    """
    return roll_out_on(connect(settings.namespace), request, settings, record)


def roll_out_on(
    cluster: Cluster,
    request: Request,
    settings: RolloutSettings,
    record: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Roll a release out in a cluster; see `roll_out_in_cluster`."""
    info = read_release(request.registry, request.version)
    verify_release(request.registry, request.version)
    golden = read_golden_requests(request.registry, request.version)
    check_installation(cluster, request.registry, settings)
    holder = new_holder(request.run_id)
    run = request.run_id or holder
    wanted = Wanted(request.version, info.content_digest, run, request.may_go_back)
    lease = acquire_lease(cluster, holder, settings.wait_s, say)
    if lease is None:
        raise Unavailable(
            f"cluster {cluster.address}: another rollout in {cluster.namespace} has not ended in "
            f"{settings.wait_s:g} s; wait for it, or see whose it is: kubectl -n "
            f"{cluster.namespace} get lease emotion-ai-rollout -o yaml"
        )
    with PodConnections(cluster, settings.tls) as connections:
        ctx = Context(
            cluster, lease, connections, settings, request.registry, wanted, request.reason
        )
        ctx.record = {} if record is None else record
        ctx.record |= {
            "outcome": "failed",
            "version": request.version,
            "previous": None,
            "namespace": cluster.namespace,
            "answers_checked": len(golden.logs),
            "largest_difference": 0.0,
        }
        with _hold(ctx):
            _run(ctx)
    return ctx.record


@contextlib.contextmanager
def _hold(ctx: Context) -> Any:
    """End a rollout that fails so that the next one need not wait for its lease."""
    try:
        yield
    except LeaseLost:
        # The next holder removes what is of others; this process removes its own.
        _remove_own_canary(ctx)
        raise
    except EmotionAIError:
        if ctx.journal.phase in ("promoting", "verifying", "back") and not ctx.is_closed:
            # Such as a registry that is away: what was changed stays so for now.
            _tell_interruption(ctx)
        _give_up_lease(ctx)
        raise
    except BaseException:
        # Interrupted: the journal keeps its phase, and the next rollout recovers from it.
        ctx.record["outcome"] = "interrupted"
        _tell_interruption(ctx)
        if ctx.journal.phase in ("canary", "baking"):
            _remove_own_canary(ctx)
        _give_up_lease(ctx)
        raise
    finally:
        ctx.lease.stop()


def _give_up_lease(ctx: Context) -> None:
    if not ctx.is_closed:
        with contextlib.suppress(EmotionAIError):
            ctx.lease.release(ctx.journal)


def _tell_interruption(ctx: Context) -> None:
    words = _interruption_words(ctx)
    say(words)
    with contextlib.suppress(EmotionAIError):
        record_event(ctx.cluster, ctx.read(), "Interrupted", words)


def _interruption_words(ctx: Context) -> str:
    journal, wanted = ctx.journal, ctx.wanted.release
    if journal.phase in ("canary", "baking"):
        return f"release {wanted}: interrupted; its canary is removed, and nothing else has changed"
    if journal.phase == "done":
        return f"release {wanted}: interrupted"
    return (
        f"release {journal.release}: interrupted in the phase {journal.phase}; the next rollout "
        "goes on from there, or see what serves: kubectl -n "
        f"{ctx.cluster.namespace} rollout status deployment/{ctx.settings.deployment}"
    )


def _remove_own_canary(ctx: Context) -> None:
    if ctx.journal.job:
        with contextlib.suppress(EmotionAIError):
            ctx.cluster.delete("jobs", ctx.journal.job)


def _run(ctx: Context) -> None:
    ctx.fence()
    while True:
        found, deployment = ctx.observe()
        ctx.record["previous"] = deployment.release
        act = decide(found, ctx.wanted)
        if act == "begin":
            if judgement(found):
                say(warn_of_judged(ctx, deployment, judgement(found)))
            _begin(ctx, deployment)
            return
        if act in ("superseded", "verify", "ended"):
            _end_early(ctx, act, deployment)
            return
        _recover(ctx, act, found, deployment)
        if ctx.is_closed:
            return


def _recover(ctx: Context, act: str, found: Observation, deployment: Deployment) -> None:
    """Finish what another rollout, or an earlier attempt of this run, has left."""
    release = found.journal.release or 0
    if act == "clean up":
        ctx.remove_canaries()
        ctx.write(ctx.journal, phase="done", job="")
    elif act == "adopt":
        say(adopt(ctx, deployment))
    elif act == "finish":
        # It is promoted already: what served before is what was proven last.
        ctx.record["previous"] = found.journal.proven
        finish(ctx, release, found.journal.digest)
    else:
        go_back(ctx, ctx.journal.failure(release) or "the rollout was interrupted")


def _end_early(ctx: Context, act: str, deployment: Deployment) -> None:
    wanted = ctx.wanted
    if act == "verify":
        finish(ctx, wanted.release, wanted.digest)
        ctx.record["outcome"] = "unchanged"
        return
    ctx.close(ctx.journal)
    if act == "superseded":
        _supersede(ctx, deployment)
        return
    outcome = ctx.journal.outcome(wanted.digest, wanted.run)
    if outcome is not None and outcome.reason:
        ctx.record["outcome"] = "refused"
        raise VerificationError(_refusal(ctx, outcome.reason))
    ctx.record["outcome"] = "superseded"
    ctx.record["reasons"] = ["this run rolled it out before, and it was replaced since"]


def _supersede(ctx: Context, deployment: Deployment) -> None:
    say(f"release {ctx.wanted.release}: superseded by {deployment.release}, which serves")
    ctx.record["outcome"] = "superseded"
    ctx.record["reasons"] = [f"release {deployment.release} serves"]


def _begin(ctx: Context, deployment: Deployment) -> None:
    wanted = ctx.wanted
    golden = read_golden_requests(ctx.registry, wanted.release)
    base = deployment.release
    try:
        try_release(ctx, deployment, golden)
        promoted = _promote(ctx, base)
    except _Superseded:
        _withdraw(ctx)
        _supersede(ctx, ctx.read())
        return
    except (ApiUnavailable, LeaseLost):
        # Nothing can be cleaned up now; the next rollout does it.
        raise
    except EmotionAIError as error:
        if not isinstance(error, VerificationError):
            # No verdict on the release.
            _withdraw(ctx)
        raise type(error)(_refusal(ctx, str(error))) from None
    ctx.tell(wanted.release, promoted, "Promoted", "promoted")
    finish(ctx, wanted.release, wanted.digest)


def _withdraw(ctx: Context) -> None:
    ctx.remove_canaries()
    ctx.close(ctx.journal)


def _promote(ctx: Context, base: int | None) -> Deployment:
    """Patch the Deployment to the release, unless it has moved since the trial began."""
    wanted = ctx.wanted

    def build(deployment: Deployment) -> dict[str, Any] | None:
        if ctx.journal.phase == "promoting" and deployment.release == wanted.release:
            # Patched before, by a request whose answer was lost.
            return None
        newer = deployment.release is not None and deployment.release > wanted.release
        if newer and not wanted.may_go_back:
            raise _Superseded
        if deployment.release != base:
            raise MovedByPerson(
                f"deployment {deployment.name}: was moved from release {base} to "
                f"{deployment.release} meanwhile; nothing is changed, and release "
                f"{wanted.release} is not judged"
            )
        ctx.write(ctx.journal, phase="promoting")
        return release_patch(
            deployment,
            release=wanted.release,
            digest=wanted.digest,
            cause=release_words(ctx, wanted.release),
            holder=ctx.lease.holder,
        )

    return ctx.change(build)


def _refusal(ctx: Context, reason: str) -> str:
    previous = ctx.journal.proven
    serves = "no release serves, as before" if previous is None else f"release {previous} serves"
    return f"release {ctx.wanted.release} is not rolled out: {reason}; {serves}"
