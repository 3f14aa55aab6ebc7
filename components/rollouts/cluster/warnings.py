"""What an operator should know of an installation: drift, doubtful releases, pods that fail."""

from collections.abc import Iterator
from typing import Any

from emotion_ai.registry.releases import list_versions
from emotion_ai.rollouts.cluster.api import Cluster, Object
from emotion_ai.rollouts.cluster.deployment import Deployment
from emotion_ai.rollouts.cluster.journal import Journal
from emotion_ai.rollouts.cluster.pods import start_failure
from emotion_ai.rollouts.cluster.preflight import serves_registry
from emotion_ai.rollouts.cluster.promotion import STABLE_LABELS


def find_warnings(
    cluster: Cluster,
    registry: str,
    champion: int | None,
    deployment: Deployment,
    journal: Journal,
    description: dict[str, Any],
    pods: list[Object],
) -> list[str]:
    """Find what is not as it should be; a sentence each.

    Args:
        cluster: Where to read logs.
        registry: The registry that the Deployment should serve.
        champion: The release that the registry's models.config names; None for none.
        deployment: As it was read.
        journal: As it was read.
        description: The installation, see `description.describe_cluster`.
        pods: The installation's pods.
    """
    found = [*_interruption(description["rollout"]), *_judged_bad(deployment, journal)]
    if serves_registry(deployment, registry):
        found += _drift(deployment, journal, champion)
        found += _missing(description["releases"], registry)
    else:
        found.append(
            f"the Deployment fetches its releases from {deployment.registry or 'nowhere'}, and "
            f"this is {registry}; name its registry to compare them"
        )
    if deployment.is_paused:
        found.append(
            f"deployment {deployment.name} is paused: nothing is rolled out until kubectl rollout "
            "resume"
        )
    if deployment.failure:
        found.append(f"deployment {deployment.name}: {deployment.failure}")
    return [*found, *_pod_failures(cluster, pods)]


def _interruption(rollout: dict[str, Any]) -> Iterator[str]:
    if rollout["phase"] != "done" and not rollout["is_alive"]:
        yield (
            f"the rollout of release {rollout['release']} by {rollout['run']} was interrupted in "
            f"the phase {rollout['phase']}; the next rollout, of whatever release, finishes it "
            "first"
        )


def _judged_bad(deployment: Deployment, journal: Journal) -> Iterator[str]:
    reason = journal.failure(deployment.release or 0)
    if reason and journal.phase == "done":
        yield (
            f"release {deployment.release} was judged bad here, and somebody has deployed it all "
            f"the same: {reason}"
        )


def _drift(deployment: Deployment, journal: Journal, champion: int | None) -> Iterator[str]:
    release = deployment.release
    if journal.phase != "done" or {champion, journal.proven} == {release}:
        return
    named = "no release" if champion is None else f"release {champion}"
    proven = "none" if journal.proven is None else f"release {journal.proven}"
    facts = (
        f"the Deployment is at {'no release' if release is None else f'release {release}'}, "
        f"models.config names {named}, and the last one proven here is {proven}"
    )
    if release is None or journal.failure(release):
        yield facts
    else:
        yield f"{facts}; the next run or rollout adopts what serves, if every server answers as it"


def _missing(releases: list[dict[str, Any]], registry: str) -> Iterator[str]:
    known = set(list_versions(registry))
    missing = [entry for entry in releases if entry["release"] not in known]
    if missing:
        names = ", ".join(f"{entry['release']} (revision {entry['revision']})" for entry in missing)
        yield (
            f"not in {registry}: release {names}; its pods cannot start again, and `kubectl "
            "rollout undo` to it would fail"
        )


def _pod_failures(cluster: Cluster, pods: list[Object]) -> Iterator[str]:
    for pod in pods:
        is_stable = STABLE_LABELS.items() <= pod["metadata"]["labels"].items()
        if is_stable and not pod["metadata"].get("deletionTimestamp"):
            failure = start_failure(cluster, pod)
            if failure is not None:
                yield str(failure)
