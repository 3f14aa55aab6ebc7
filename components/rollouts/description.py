"""What is released and what is serving: trained on what, when, by which code, accepted why."""

from typing import Any

from emotion_ai.errors import InputError
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import (
    is_complete,
    list_versions,
    read_release,
    release_uri,
    verify_release,
)

_DETAILS = {"files", "signatures", "packages"}


def describe(registry: str, version: int | None, server: str | None) -> dict[str, Any]:
    """The registry's releases, its champion and what the server at HOST:PORT serves, for JSON.

    With a version that release alone, with its files, which are verified, signatures and packages.
    Among all of them one whose record is damaged is listed with its "error". Raises `InputError`
    for a version that is not there or was altered and `Unavailable` for a server that does not
    answer.
    """
    champion = read_champion(registry)
    if version is None:
        found = [_summary(registry, number, champion) for number in list_versions(registry)]
        releases = [release for release in found if release]
    else:
        verify_release(registry, version)
        details = read_release(registry, version).model_dump(mode="json")
        releases = [_placed(registry, details, champion)]
    description: dict[str, Any] = {
        "registry": registry,
        "champion": champion,
        "releases": releases,
    }
    if server:
        description["serving"] = _serving(server)
    return description


def _summary(registry: str, version: int, champion: int | None) -> dict[str, Any] | None:
    try:
        info = read_release(registry, version).model_dump(mode="json", exclude=_DETAILS)
    except InputError as failure:
        if not is_complete(registry, version):
            # Retention removed it since it was listed.
            return None
        info = {"version": version, "error": str(failure)}
    return _placed(registry, info, champion)


def _placed(registry: str, info: dict[str, Any], champion: int | None) -> dict[str, Any]:
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
