"""Before a run trains: adopt what a person has put back, and name what retention must keep.

`kubectl rollout undo` changes what serves without telling the registry. Until it is adopted, the
gate would compare a new release with the wrong champion, and retention could remove what serves.
"""

from emotion_ai.errors import EmotionAIError, Unavailable
from emotion_ai.rollouts.cluster.api import Cluster, connect
from emotion_ai.rollouts.cluster.closing import adopt, warn_of_judged
from emotion_ai.rollouts.cluster.connections import PodConnections
from emotion_ai.rollouts.cluster.context import Context, say
from emotion_ai.rollouts.cluster.deployment import template_release
from emotion_ai.rollouts.cluster.journal import read_journal
from emotion_ai.rollouts.cluster.lease import acquire_lease, new_holder
from emotion_ai.rollouts.cluster.names import APP, APP_LABEL, LEASE
from emotion_ai.rollouts.cluster.preflight import check_installation
from emotion_ai.rollouts.cluster.promotion import fetch_deployment
from emotion_ai.rollouts.cluster.recovery import Wanted, judgement, needs_adoption
from emotion_ai.rollouts.settings import RolloutSettings


def adopt_undo(registry: str, settings: RolloutSettings, run: str) -> str:
    """Make the release the champion that a person has rolled out with kubectl.

    It does nothing while a rollout goes on or has left work: the next rollout finishes that first.

    Args:
        registry: A local folder or a gs:// URI.
        settings: Where the servers are.
        run: The run's id.

    Returns:
        What was done or why it was not, in one sentence; "" if there is nothing to adopt.

    Raises:
        InputError: The installation or rights are missing.
        Unavailable: The cluster or the registry does not answer.
    """
    return adopt_undo_on(connect(settings.namespace), registry, settings, run)


def adopt_undo_on(cluster: Cluster, registry: str, settings: RolloutSettings, run: str) -> str:
    """Adopt in a cluster; see `adopt_undo`."""
    check_installation(cluster, registry, settings)
    lease = acquire_lease(cluster, new_holder(run), 0, say)
    if lease is None:
        return ""
    try:
        with PodConnections(cluster, settings.tls) as connections:
            # It wants no release: it only looks.
            wanted = Wanted(0, "", run, may_go_back=False)
            ctx = Context(cluster, lease, connections, settings, registry, wanted)
            found, deployment = ctx.observe()
            if needs_adoption(found):
                return adopt(ctx, deployment)
            reason = judgement(found)
            return warn_of_judged(ctx, deployment, reason) if reason else ""
    finally:
        lease.release(lease.journal)


def named_releases(settings: RolloutSettings) -> set[int]:
    """Return the releases that the cluster names, for retention to keep.

    These are the Deployment's, those that `kubectl rollout undo` offers, and those that a rollout
    under way needs.

    Raises:
        Unavailable: The cluster cannot be asked; remove nothing then.
    """
    try:
        return named_releases_on(connect(settings.namespace), settings.deployment)
    except EmotionAIError as error:
        raise Unavailable(
            f"it cannot be asked which releases the servers need, so none is removed: {error}"
        ) from error


def named_releases_on(cluster: Cluster, deployment: str) -> set[int]:
    """Name them in a cluster; see `named_releases`."""
    # The journal before the Deployment: what is promoted meanwhile is in one of them.
    journal = read_journal(cluster.get("leases", LEASE))
    sets = cluster.list("replicasets", {APP_LABEL: APP})
    named = {template_release(body["spec"]["template"]) for body in sets}
    named |= {fetch_deployment(cluster, deployment).release}
    named |= {journal.release, journal.previous, journal.proven}
    return {release for release in named if release is not None}
