"""SIGKILL at every write of a push, in a folder and in Cloud Storage, with somebody looking on."""

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

from support.minimal_release import small_release
from support.registry_monitor import watched
from support.registry_writers import Victims, running_victims

_MAX_WRITES = 200


@pytest.fixture(params=["local", "gs"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "gs":
        return storage.join(request.getfixturevalue("cloud_storage"), tmp_path.name, "registry")
    return str(tmp_path / "registry")


@pytest.fixture
def victims(registry: str) -> Iterator[Victims]:
    # After `registry`, which says in the environment where Cloud Storage is.
    with running_victims() as victims:
        yield victims


def test_whichever_write_a_push_dies_at(registry: str, victims: Victims, tmp_path: Path) -> None:
    """The next push finishes it, no release is lost or doubled, and nothing else is left."""
    files, draft = small_release(tmp_path / "first", "first")
    publish(registry, files, draft)
    write_champion(registry, 1)
    digests = ["first"]
    with watched(registry) as seen:
        for write in range(1, _MAX_WRITES):
            digest = f"killed-at-{write}"
            victim = victims.push(registry, tmp_path / digest, digest, at=write)
            assert victim["killed"] or not victim["error"]
            _check_whole(registry)
            digests.append(digest)
            again = victims.push(registry, tmp_path / digest, digest)
            assert again["error"] == ""
            versions = list_versions(registry)
            assert again["version"] == versions[-1]
            released = [read_release(registry, version).content_digest for version in versions]
            assert released == ["first", *digests[1:][-3:]]
            _check_tidy(registry, versions)
            if not victim["killed"]:
                break
    assert not victim["killed"]
    assert write > 20
    assert read_champion(registry) == 1
    assert seen["troubles"] == []
    assert seen["verified"] > write


def _check_whole(registry: str) -> None:
    for version in list_versions(registry):
        verify_release(registry, version)


def _check_tidy(registry: str, versions: list[int]) -> None:
    names = {*map(str, versions), "models.config"}
    if not storage.is_remote(registry):
        names.add(".writer.lock")
    assert set(storage.list_names(registry)) == names
    for version in versions:
        folder = release_uri(registry, version)
        assert storage.list_names(folder) == ["assets.extra", "saved_model.pb", "variables"]
        assert storage.list_names(storage.join(folder, "assets.extra")) == ["release.json"]
        assert storage.list_names(storage.join(folder, "variables")) == ["variables.index"]
