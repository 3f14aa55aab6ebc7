"""SIGKILL at every write of a push, in a folder and in Cloud Storage, under a monitor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import (
    list_versions,
    read_release,
    release_uri,
    verify_release,
)

from support.minimal_release import write_minimal_release
from support.registry_monitor import monitored
from support.registry_writers import RegistryWriters, running_registry_writers

_MAX_WRITES = 200


@pytest.fixture
def writers(registry: str) -> Iterator[RegistryWriters]:
    # After `registry`, which sets the emulator's address in the environment.
    with running_registry_writers() as writers:
        yield writers


def test_push_recovers_from_a_kill_at_any_write(
    registry: str, writers: RegistryWriters, tmp_path: Path
) -> None:
    """The next push finishes; no release is lost or duplicated, and nothing else is left."""
    files, draft = write_minimal_release(tmp_path / "first", "first")
    publish(registry, files, draft)
    write_champion(registry, 1)
    digests = ["first"]
    with monitored(registry) as monitor:
        for write in range(1, _MAX_WRITES):
            digest = f"killed-at-{write}"
            outcome = writers.push(registry, tmp_path / digest, digest, kill_at_write=write)
            assert outcome["killed"] or not outcome["error"]
            _assert_releases_complete(registry)
            digests.append(digest)
            retry = writers.push(registry, tmp_path / digest, digest)
            assert retry["error"] == ""
            versions = list_versions(registry)
            assert retry["version"] == versions[-1]
            released = [read_release(registry, version).content_digest for version in versions]
            assert released == ["first", *digests[1:][-3:]]
            _assert_no_leftovers(registry, versions)
            if not outcome["killed"]:
                break
    assert not outcome["killed"]
    assert write > 20
    assert read_champion(registry) == 1
    assert monitor["errors"] == []
    assert monitor["verified"] > write


def _assert_releases_complete(registry: str) -> None:
    for version in list_versions(registry):
        verify_release(registry, version)


def _assert_no_leftovers(registry: str, versions: list[int]) -> None:
    names = {*map(str, versions), "models.config"}
    if not storage.is_remote(registry):
        names.add(".writer.lock")
    assert set(storage.list_names(registry)) == names
    for version in versions:
        folder = release_uri(registry, version)
        assert storage.list_names(folder) == ["assets.extra", "saved_model.pb", "variables"]
        assert storage.list_names(storage.join(folder, "assets.extra")) == ["release.json"]
        assert storage.list_names(storage.join(folder, "variables")) == ["variables.index"]
