"""Try a release as a canary: start it, prove it, let callers in, judge it, or refuse it."""

from typing import Any

from emotion_ai.errors import InputError, VerificationError
from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.bake import Groups, compare_latency, watch
from emotion_ai.rollouts.cluster.canary import (
    admit_canary,
    canary_job,
    check_canary,
    create_canary,
    new_job_name,
    remove_canaries,
    wait_for_canary,
)
from emotion_ai.rollouts.cluster.context import Context
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.names import TRACK_LABEL
from emotion_ai.rollouts.cluster.pods import fetched_digest
from emotion_ai.rollouts.cluster.promotion import endpoint_pods
from emotion_ai.rollouts.verification import GoldenRequests

_PROOF_SECONDS = 120.0
# Callers that still know a refused canary take the next server as soon as it refuses them.
_REFUSED_GRACE_S = 1


class Slow(VerificationError):
    """The release is right, but slow."""


def try_release(ctx: Context, deployment: Deployment, golden: GoldenRequests) -> None:
    """Run the canary until its release may be promoted; the canary serves on.

    Args:
        ctx: The rollout.
        deployment: As it was read before the trial.
        golden: The release's golden requests.

    Raises:
        VerificationError: The release is refused; its canary is gone and the journal says why.
        EmotionAIError: The trial could not be made; no verdict on the release.
    """
    wanted, job = ctx.wanted, new_job_name(ctx.wanted.release)
    ctx.write(
        ctx.journal,
        phase="canary",
        release=wanted.release,
        digest=wanted.digest,
        run=wanted.run,
        previous=deployment.release,
        job=job,
    )
    try:
        _run_canary(ctx, deployment, golden, job)
    except VerificationError as error:
        reason = str(error)
        ctx.record["outcome"] = "refused"
        ctx.tell(wanted.release, deployment, "CanaryFailed", f"refused: {reason}")
        ctx.write(ctx.journal.with_outcome(reason))
        remove_canaries(ctx.cluster, grace_s=None if isinstance(error, Slow) else _REFUSED_GRACE_S)
        ctx.close(ctx.journal)
        raise


def _run_canary(ctx: Context, deployment: Deployment, golden: GoldenRequests, job: str) -> None:
    wanted, settings = ctx.wanted, ctx.settings
    with ctx.timed("canary"):
        body = canary_job(job, deployment, wanted.release, wanted.digest, settings)
        create_canary(ctx.cluster, body)
        pod = wait_for_canary(ctx.cluster, job, settings.timeout_s)
    with ctx.timed("proof"):
        difference = _prove(ctx, pod, golden)
    name, node = pod["metadata"]["name"], pod["spec"].get("nodeName", "")
    ctx.record["canary"] = {
        "pod": name,
        "node": node,
        "golden": len(golden.logs),
        "largest_difference": difference,
    }
    words = f"{len(golden.logs)} golden answers, largest difference {difference:.1g}"
    ctx.tell(wanted.release, deployment, "CanaryProven", f"canary on {node} proven ({words})")
    ctx.write(ctx.journal, phase="baking")
    admit_canary(ctx.cluster, job, name, words)
    if _skips_bake(ctx, deployment):
        return
    bake = settings.canary
    ctx.tell(
        wanted.release,
        deployment,
        "CanaryAdmitted",
        f"canary {name} answers callers; it is judged after {bake.bake_s:g} s and "
        f"{bake.min_requests} requests, at the latest after {bake.max_bake_s:g} s",
    )
    with ctx.timed("bake"):
        _bake(ctx, job, name, golden)


def _prove(ctx: Context, pod: Object, golden: GoldenRequests) -> float:
    digest = fetched_digest(pod)
    if digest and digest != ctx.wanted.digest:
        raise InputError(
            f"pod {pod['metadata']['name']}: fetched another release {ctx.wanted.release} "
            f"(content digest {digest[:12]}, here {ctx.wanted.digest[:12]}); does the Deployment's "
            f"REGISTRY name {ctx.registry}?"
        )
    difference = ctx.connections.prove(pod, ctx.wanted.release, golden, _PROOF_SECONDS)
    slowness = compare_latency(ctx.connections, pod, _stable_pods(ctx), golden)
    if slowness:
        raise Slow("; ".join(slowness))
    return difference


def _skips_bake(ctx: Context, deployment: Deployment) -> bool:
    bake = ctx.settings.canary.bake_s
    if deployment.release is None:
        judged_by = "golden answers: no release serves yet"
    elif ctx.wanted.may_go_back and ctx.journal.was_proven(ctx.wanted.digest):
        judged_by = "an earlier rollout here"
    elif not bake:
        judged_by = f"golden answers: the bake is skipped ({ctx.reason or 'no reason given'})"
    else:
        return False
    ctx.record["canary"]["judged_by"] = judged_by
    return True


def _bake(ctx: Context, job: str, name: str, golden: GoldenRequests) -> None:
    def list_pods() -> Groups:
        ctx.lease.check_renewal()
        return Groups([check_canary(ctx.cluster, job, name)], _stable_pods(ctx))

    verdict = watch(ctx.connections, ctx.wanted.release, golden, list_pods, ctx.settings.canary)
    stable = len(_stable_pods(ctx))
    ctx.record["canary"] |= {
        "requests": verdict.requests,
        "errors": verdict.errors,
        "p95_ms": verdict.p95_ms,
        "stable_p95_ms": verdict.stable_p95_ms,
        "share": round(1 / (stable + 1), 3),
        "judged_by": verdict.judged_by,
        "summary": verdict.summary,
    }
    if not verdict.ok:
        # One that was removed meanwhile is not to blame.
        check_canary(ctx.cluster, job, name)
        failure = Slow if verdict.only_slow else VerificationError
        raise failure("; ".join(verdict.reasons))


def _stable_pods(ctx: Context) -> list[Any]:
    pods = endpoint_pods(ctx.cluster)
    return [p for p in pods if p["metadata"]["labels"].get(TRACK_LABEL) == "stable"]
