"""Publish a release: all of it appears at once under the next free number, or nothing does."""

from collections.abc import Mapping
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    ReleaseInfo,
    list_versions,
    read_release,
    verify_release,
)
from emotion_ai.registry.writer import exclusive_writer


def publish(registry: str, files: Mapping[str, Path], draft: ReleaseInfo) -> tuple[int, bool]:
    """Publish local files as a release; returns its version and whether it is a new one.

    `files` maps each path in the release to a local file; release.json is made here from `draft`,
    whose version is set. The content digest of the newest release makes no new version. Raises
    `Unavailable` where the registry cannot be written; nothing half-written is visible then.
    """
    if GRAPH_PATH not in files:
        raise InputError(f"{registry}: a release needs {GRAPH_PATH}; combine writes it")
    with exclusive_writer(registry) as writer, storage.translate_errors(registry):
        same = _newest_same(registry, draft)
        return (same, False) if same else (writer.add(files, draft), True)


def retain(registry: str, keep: int) -> list[int]:
    """Remove all but the newest `keep` releases, the champion and its parent; returns the removed.

    Raises `InputError` where the champion's own record cannot be read; nothing is removed then.
    """
    if keep < 1:
        raise InputError(f"keep: {keep} releases; at least 1 has to stay")
    with exclusive_writer(registry) as writer:
        versions = list_versions(registry)
        protected: set[int | None] = set(versions[-keep:])
        champion = read_champion(registry)
        if champion is not None:
            protected |= {champion, read_release(registry, champion).parent}
        removed = [version for version in versions if version not in protected]
        for version in removed:
            writer.remove(version)
        return removed


def _newest_same(registry: str, draft: ReleaseInfo) -> int | None:
    versions = list_versions(registry)
    if not versions:
        return None
    try:
        if read_release(registry, versions[-1]).content_digest != draft.content_digest:
            return None
        verify_release(registry, versions[-1])
    except InputError as failure:
        print(f"a new release takes the place of a damaged one: {failure}")
        return None
    return versions[-1]
