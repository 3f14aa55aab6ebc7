"""Describe a registry's releases, a server and a cluster, for `emotion-ai describe`."""

from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import (
    check_exists,
    is_complete,
    list_versions,
    read_release,
    release_uri,
    verify_release,
)
from emotion_ai.rollouts.settings import RolloutSettings

_DETAILS = {"files", "signatures", "packages"}


def describe(
    registry: str,
    version: int | None,
    server: str | None,
    cluster: RolloutSettings | None = None,
) -> dict[str, Any]:
    """Describe a registry's releases, its champion, and what a server or a cluster serves.

    Args:
        registry: A local folder or a gs:// URI.
        version: Describe this release alone, with its files, signatures and packages, after
            verifying its files. None describes all; one with a damaged release.json is listed with
            its "error".
        server: HOST:PORT of a server to query as well; None or "" for none.
        cluster: Where in a cluster to look as well; None for nowhere.

    Returns:
        Data for JSON: `registry`, `champion` (None for none), `releases` and, with a server,
        `serving`; with a cluster, `cluster`, see `describe_cluster`.

    Raises:
        InputError: There is no such release, or its release.json is invalid. Or there is no
            cluster, or the rights in it are missing.
        VerificationError: A file of the release was altered.
        Unavailable: The storage, the server or the cluster failed.
    """
    champion = read_champion(registry)
    if champion is None:
        check_exists(registry)
    if version is None:
        summaries = [_summary(registry, number, champion) for number in list_versions(registry)]
        releases = [summary for summary in summaries if summary]
    else:
        verify_release(registry, version)
        details = read_release(registry, version).model_dump(mode="json")
        releases = [_with_location(registry, details, champion)]
    description: dict[str, Any] = {
        "registry": registry,
        "champion": champion,
        "releases": releases,
    }
    if server:
        description["serving"] = _serving(server)
    if cluster is not None:
        from emotion_ai.rollouts.cluster.description import describe_cluster

        description["cluster"] = describe_cluster(registry, champion, cluster)
    return description


def _summary(registry: str, version: int, champion: int | None) -> dict[str, Any] | None:
    try:
        info = read_release(registry, version).model_dump(mode="json", exclude=_DETAILS)
    except InputError as error:
        if not is_complete(registry, version):
            # Retention removed it after it was listed.
            return None
        info = {"version": version, "error": str(error)}
    return _with_location(registry, info, champion)


def _with_location(registry: str, info: dict[str, Any], champion: int | None) -> dict[str, Any]:
    version = info["version"]
    return info | {"is_champion": version == champion, "uri": release_uri(registry, version)}


def _serving(server: str) -> dict[str, Any]:
    from emotion_ai.client.client import Client

    with Client(server) as client:
        statuses = client.version_statuses()
    return {
        "server": server,
        "versions": {str(status.version): status.state for status in statuses},
        "errors": {str(status.version): status.error for status in statuses if status.error},
    }
