"""Publish and retain releases: each appears complete under the next free version, or not at all."""

from collections.abc import Collection, Mapping
from pathlib import Path

from emotion_ai import storage
from emotion_ai.errors import InputError, VerificationError
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
    """Publish local files as a new release, unless the newest release has the same content.

    Args:
        registry: A local folder or a gs:// URI.
        files: The local file for each path in the release, without release.json.
        draft: The content of release.json; its version is set here.

    Returns:
        The release's version, and whether it is new.

    Raises:
        InputError: `files` has no saved_model.pb.
        Unavailable: The registry cannot be written; no partial release is visible then.
    """
    if GRAPH_PATH not in files:
        raise InputError(f"{registry}: a release needs {GRAPH_PATH}; combine writes it")
    with exclusive_writer(registry) as writer, storage.translate_errors(registry):
        version = _newest_with_same_content(registry, draft)
        return (version, False) if version else (writer.add(files, draft), True)


def retain(registry: str, keep: int, also: Collection[int] = ()) -> list[int]:
    """Remove old releases, but never the champion or its parent.

    Args:
        registry: A local folder or a gs:// URI.
        keep: How many of the newest releases to keep.
        also: Other releases to keep, such as those that a cluster names.

    Returns:
        The removed versions, ascending.

    Raises:
        InputError: `keep` is less than 1, or the champion's release.json cannot be read; nothing
            is removed then.
        Unavailable: The registry cannot be written.
    """
    if keep < 1:
        raise InputError(f"keep: {keep} releases; at least 1 has to stay")
    with exclusive_writer(registry) as writer:
        versions = list_versions(registry)
        protected: set[int | None] = {*versions[-keep:], *also}
        champion = read_champion(registry)
        if champion is not None:
            protected |= {champion, read_release(registry, champion).parent}
        removed = [version for version in versions if version not in protected]
        for version in removed:
            writer.remove(version)
        return removed


def _newest_with_same_content(registry: str, draft: ReleaseInfo) -> int | None:
    versions = list_versions(registry)
    if not versions:
        return None
    try:
        if read_release(registry, versions[-1]).content_digest != draft.content_digest:
            return None
        verify_release(registry, versions[-1])
    except (InputError, VerificationError) as error:
        print(f"a new release takes the place of a damaged one: {error}")
        return None
    return versions[-1]
