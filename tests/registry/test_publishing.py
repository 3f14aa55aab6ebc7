"""Publishing: whole or not at all, once for the same content, and never two under one number."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
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

from support.minimal_release import Publisher, small_release

_TESTS = str(Path(__file__).parent.parent)
_PUBLISHER = """
import sys
sys.path.insert(0, sys.argv.pop())
from pathlib import Path
from emotion_ai.registry.publishing import publish
from support.minimal_release import small_release
registry, folder, digest = sys.argv[1:]
files, draft = small_release(Path(folder), digest)
print("ready", flush=True)
sys.stdin.readline()
print(publish(registry, files, draft)[0])
"""


def test_releases_are_numbered_from_one(registry: str, publish_small: Publisher) -> None:
    assert list_versions(registry) == []
    assert [publish_small("a"), publish_small("b"), publish_small("c")] == [1, 2, 3]
    assert list_versions(registry) == [1, 2, 3]
    for version in (1, 2, 3):
        verify_release(registry, version)
    assert read_release(registry, 2).content_digest == "b"


def test_same_content_as_the_newest_is_the_same_release(
    registry: str, publish_small: Publisher
) -> None:
    assert [publish_small("a"), publish_small("a")] == [1, 1]
    assert [publish_small("b"), publish_small("a")] == [2, 3]
    assert list_versions(registry) == [1, 2, 3]


def test_an_altered_file_is_named(registry: str, publish_small: Publisher) -> None:
    publish_small("a")
    uri = storage.join(release_uri(registry, 1), "variables/variables.index")
    storage.write_bytes(uri, b"altered")
    with pytest.raises(InputError, match=re.escape(uri)):
        verify_release(registry, 1)
    storage.remove(uri)
    with pytest.raises(InputError, match=r"variables\.index: no such"):
        verify_release(registry, 1)


def test_what_is_not_a_release_is_passed_over(registry: str, publish_small: Publisher) -> None:
    for name in ("runs/1/run.json", "models.config", "01/saved_model.pb", "x/saved_model.pb"):
        storage.write_bytes(storage.join(registry, name), b"{}")
    # Half a release: its saved_model.pb never came.
    storage.write_bytes(storage.join(registry, "7", INFO_PATH), b"{}")
    assert list_versions(registry) == []
    assert publish_small("a") == 8
    assert list_versions(registry) == [8]


def test_two_publishers_at_once_get_two_versions(registry: str, tmp_path: Path) -> None:
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
def test_a_publisher_killed_at_work_leaves_nothing_to_be_seen(
    registry: str, tmp_path: Path, publish_small: Publisher
) -> None:
    """A named pipe among the files holds the publisher in the middle of its copying."""
    files, _ = small_release(tmp_path / "held", "held")
    os.unlink(files["variables/variables.index"])
    os.mkfifo(files["variables/variables.index"])
    script = _PUBLISHER.replace("small_release(Path(folder), digest)", "held()").replace(
        "registry, folder",
        "def held():\n"
        "    files, draft = small_release(Path(folder) / 'copy', digest)\n"
        "    return files | {'variables/variables.index': Path(folder) / 'index'}, draft\n"
        "registry, folder",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, registry, str(tmp_path / "held"), "held", _TESTS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()
    # Opening the pipe returns once the publisher reads from it.
    with open(files["variables/variables.index"], "wb"):
        names = storage.list_names(registry)
        process.kill()
        process.wait()
    assert any(name.startswith(".staging-") for name in names)
    assert list_versions(registry) == []
    assert publish_small("a") == 1
    assert not [name for name in storage.list_names(registry) if name.startswith(".staging-")]


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_number_taken_meanwhile_is_not_overwritten(
    registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone whom the lock does not reach, as on a shared file system, was quicker."""
    other = Path(registry) / "1" / "theirs"
    taken = iter([[], [1]])

    def quicker(_: str) -> list[int]:
        other.parent.mkdir(exist_ok=True)
        other.write_text("theirs")
        return next(taken)

    monkeypatch.setattr(folder_writer, "used_versions", quicker)
    files, draft = small_release(tmp_path / "export", "a")
    assert publish(registry, files, draft) == (2, True)
    assert other.read_text() == "theirs"
    assert os.listdir(other.parent) == ["theirs"]
    verify_release(registry, 2)


def test_a_registry_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    files, draft = small_release(tmp_path / "export", "a")
    with pytest.raises((InputError, Unavailable), match=str(tmp_path / "file")):
        publish(str(tmp_path / "file" / "registry"), files, draft)


def test_a_release_without_its_graph_is_refused(registry: str, tmp_path: Path) -> None:
    files, draft = small_release(tmp_path / "export", "a")
    del files[GRAPH_PATH]
    with pytest.raises(InputError, match=r"saved_model\.pb"):
        publish(registry, files, draft)
    assert storage.list_names(registry) == []


def test_retention_keeps_the_champion_and_its_parent(
    registry: str, publish_small: Publisher
) -> None:
    for digest, parent in (("a", None), ("b", 1), ("c", 2), ("d", 3), ("e", 3)):
        publish_small(digest, parent)
    write_champion(registry, 3)
    assert retain(registry, 1) == [1, 4]
    assert list_versions(registry) == [2, 3, 5]
    assert storage.list_names(release_uri(registry, 4)) == []
    assert retain(registry, 1) == []
    with pytest.raises(InputError, match="keep: 0"):
        retain(registry, 0)


def test_nothing_is_removed_where_the_champion_cannot_be_read(
    registry: str, publish_small: Publisher
) -> None:
    for digest in "abc":
        publish_small(digest)
    write_champion(registry, 2)
    storage.write_bytes(storage.join(release_uri(registry, 2), INFO_PATH), b"{}")
    with pytest.raises(InputError, match=r"release\.json"):
        retain(registry, 1)
    assert list_versions(registry) == [1, 2, 3]
