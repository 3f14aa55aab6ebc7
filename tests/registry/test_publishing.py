"""Tests of `registry.publishing`: complete or not at all, once for the same content."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.registry import folder_writer
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish, retain
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    list_versions,
    read_release,
    release_uri,
    verify_release,
)

from support.minimal_release import Publisher, write_minimal_release

_TESTS = str(Path(__file__).parent.parent)
_PUBLISHER = """
import sys
sys.path.insert(0, sys.argv.pop())
from pathlib import Path
from emotion_ai.registry.publishing import publish
from support.minimal_release import write_minimal_release
registry, folder, digest = sys.argv[1:]
files, draft = write_minimal_release(Path(folder), digest)
print("ready", flush=True)
sys.stdin.readline()
print(publish(registry, files, draft)[0])
"""


def test_publish_numbers_releases_from_one(registry: str, publish_minimal: Publisher) -> None:
    assert list_versions(registry) == []
    assert [publish_minimal("a"), publish_minimal("b"), publish_minimal("c")] == [1, 2, 3]
    assert list_versions(registry) == [1, 2, 3]
    for version in (1, 2, 3):
        verify_release(registry, version)
    assert read_release(registry, 2).content_digest == "b"


def test_publish_reuses_the_newest_release_with_the_same_content(
    registry: str, publish_minimal: Publisher
) -> None:
    assert [publish_minimal("a"), publish_minimal("a")] == [1, 1]
    assert [publish_minimal("b"), publish_minimal("a")] == [2, 3]
    assert list_versions(registry) == [1, 2, 3]


def test_verify_release_names_an_altered_file(registry: str, publish_minimal: Publisher) -> None:
    publish_minimal("a")
    uri = storage.join(release_uri(registry, 1), "variables/variables.index")
    storage.write_bytes(uri, b"altered")
    with pytest.raises(VerificationError, match=re.escape(uri)):
        verify_release(registry, 1)
    storage.remove(uri)
    with pytest.raises(InputError, match=r"variables\.index: no such"):
        verify_release(registry, 1)


def test_list_versions_ignores_other_names_and_incomplete_releases(
    registry: str, publish_minimal: Publisher
) -> None:
    for name in ("runs/1/run.json", "models.config", "01/saved_model.pb", "x/saved_model.pb"):
        storage.write_bytes(storage.join(registry, name), b"{}")
    # An incomplete release: it has no saved_model.pb.
    storage.write_bytes(storage.join(registry, "7", INFO_PATH), b"{}")
    assert list_versions(registry) == []
    assert publish_minimal("a") == 8
    assert list_versions(registry) == [8]


def test_concurrent_publishers_get_two_versions(registry: str, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PUBLISHER, registry, str(tmp_path / digest), digest, _TESTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for digest in ("a", "b")
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    versions = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(versions) == [1, 2]
    for version, digest in zip(versions, ("a", "b"), strict=True):
        verify_release(registry, version)
        assert read_release(registry, version).content_digest == digest


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_killed_publisher_leaves_no_visible_release(
    registry: str, tmp_path: Path, publish_minimal: Publisher
) -> None:
    """A named pipe among the files blocks the publisher while it copies."""
    files, _ = write_minimal_release(tmp_path / "blocked", "blocked")
    pipe = files["variables/variables.index"]
    pipe.unlink()
    os.mkfifo(pipe)
    script = _PUBLISHER.replace("write_minimal_release(Path(folder), digest)", "blocked()").replace(
        "registry, folder",
        "def blocked():\n"
        "    files, draft = write_minimal_release(Path(folder) / 'copy', digest)\n"
        "    return files | {'variables/variables.index': Path(folder) / 'index'}, draft\n"
        "registry, folder",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, registry, str(tmp_path / "blocked"), "blocked", _TESTS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    # Opening the pipe returns once the publisher reads from it.
    with pipe.open("wb"):
        names = storage.list_names(registry)
        process.kill()
        process.wait()
    assert any(name.startswith(".staging-") for name in names)
    assert list_versions(registry) == []
    assert publish_minimal("a") == 1
    assert not [name for name in storage.list_names(registry) if name.startswith(".staging-")]


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_publish_does_not_overwrite_a_version_of_another_writer(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other writer is not reached by the lock, as on some shared file systems."""
    other = Path(registry) / "1" / "other"
    used = iter([[], [1]])

    def write_other_release(_: str) -> list[int]:
        other.parent.mkdir(exist_ok=True)
        other.write_text("other")
        return next(used)

    monkeypatch.setattr(folder_writer, "used_versions", write_other_release)
    files, draft = write_minimal_release(tmp_path / "export", "a")
    assert publish(registry, files, draft) == (2, True)
    assert other.read_text() == "other"
    assert list(other.parent.iterdir()) == [other]
    verify_release(registry, 2)


def test_publish_names_an_unwritable_registry(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files, draft = write_minimal_release(tmp_path / "export", "a")
    with pytest.raises((InputError, Unavailable), match=str(tmp_path / "file")):
        publish(str(tmp_path / "file" / "registry"), files, draft)


def test_publish_rejects_files_without_a_graph(registry: str, tmp_path: Path) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    del files[GRAPH_PATH]
    with pytest.raises(InputError, match=r"saved_model\.pb"):
        publish(registry, files, draft)
    assert storage.list_names(registry) == []


def test_retain_keeps_the_champion_and_its_parent(
    registry: str, publish_minimal: Publisher
) -> None:
    for digest, parent in (("a", None), ("b", 1), ("c", 2), ("d", 3), ("e", 3)):
        publish_minimal(digest, parent)
    write_champion(registry, 3)
    assert retain(registry, 1) == [1, 4]
    assert list_versions(registry) == [2, 3, 5]
    assert storage.list_names(release_uri(registry, 4)) == []
    assert retain(registry, 1) == []
    with pytest.raises(InputError, match="keep: 0"):
        retain(registry, 0)


def test_retain_keeps_also_what_a_cluster_names(registry: str, publish_minimal: Publisher) -> None:
    for digest in "abcd":
        publish_minimal(digest)
    # 9 was removed before.
    assert retain(registry, 1, also={2, 9}) == [1, 3]
    assert list_versions(registry) == [2, 4]


def test_retain_removes_nothing_if_the_champion_is_unreadable(
    registry: str, publish_minimal: Publisher
) -> None:
    for digest in "abc":
        publish_minimal(digest)
    write_champion(registry, 2)
    storage.write_bytes(storage.join(release_uri(registry, 2), INFO_PATH), b"{}")
    with pytest.raises(InputError, match=r"release\.json"):
        retain(registry, 1)
    assert list_versions(registry) == [1, 2, 3]
