"""A release fetched into a folder: complete, as the registry lists it, or not there."""

import json
from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, VerificationError
from emotion_ai.registry import fetching
from emotion_ai.registry.champion import CONFIG_NAME, read_champion, read_config, write_champion
from emotion_ai.registry.fetching import fetch
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    list_versions,
    read_release,
    verify_release,
)

from support.fetched_releases import INDEX, assert_empty, assert_holds, files_in
from support.minimal_release import Publisher
from support.registry_writers import running_registry_writers

_MAX_WRITES = 100


def alter_info(registry: str, version: int, **changes: Any) -> None:
    """Change release.json of a release as nobody should."""
    uri = storage.join(registry, str(version), INFO_PATH)
    info = json.loads(storage.read_bytes(uri, 1 << 20))
    storage.write_bytes(uri, json.dumps(info | changes).encode())


def test_a_release_is_copied_with_a_configuration_that_serves_it(
    registry: str, publish_minimal: Publisher, into: Path
) -> None:
    publish_minimal("a")
    publish_minimal("b")
    fetched = fetch(registry, "1", into)
    assert (fetched.release, fetched.content_digest) == (1, "a")
    assert fetched.bytes == sum(file.size for file in read_release(registry, 1).files.values())
    assert_holds(into, registry, 1)
    (model,) = read_config(str(into)).model_config_list.config
    assert (model.name, model.model_platform) == ("emotion_ai", "tensorflow")
    # The same folder with another release: it alone is there afterwards.
    assert fetch(registry, "2", into).content_digest == "b"
    assert_holds(into, registry, 2)


def test_without_a_number_the_champion_is_fetched(
    registry: str, publish_and_roll_out: Publisher, publish_minimal: Publisher, into: Path
) -> None:
    publish_and_roll_out("a")
    publish_minimal("b")
    assert fetch(registry, "", into).release == 1
    assert_holds(into, registry, 1)


def test_before_the_first_rollout_it_waits_and_says_so(
    registry: str,
    publish_minimal: Publisher,
    into: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = 0

    def look(registry: str) -> int | None:
        nonlocal looks
        looks += 1
        if looks == 4:
            write_champion(registry, publish_minimal("a"))
        return read_champion(registry)

    monkeypatch.setattr(fetching, "read_champion", look)
    monkeypatch.setattr(fetching, "_POLL_SECONDS", 0.01)
    assert fetch(registry, "", into).release == 1
    assert looks == 4
    line = f"waiting for the first rollout: no models.config in {registry} yet\n"
    assert capsys.readouterr().err == line
    storage.remove(storage.join(registry, CONFIG_NAME))
    looks = 0
    monkeypatch.setattr(fetching, "_REPEAT_SECONDS", 0.0)
    assert fetch(registry, "", into).release == 1
    assert capsys.readouterr().err == 3 * line


def test_a_copy_that_is_there_needs_no_registry(
    registry: str, publish_minimal: Publisher, into: Path
) -> None:
    publish_minimal("a")
    first = fetch(registry, "1", into)
    before = {path: path.stat().st_ino for path in into.rglob("*") if path.name != CONFIG_NAME}
    again = fetch("/no/such/registry", "1", into)
    assert again[:3] == first[:3]
    assert before == {path: path.stat().st_ino for path in before}
    assert_holds(into, registry, 1)


@pytest.mark.parametrize("name", [GRAPH_PATH, INFO_PATH])
@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_a_damaged_copy_is_replaced(
    registry: str,
    publish_minimal: Publisher,
    into: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish_minimal("a")
    fetch(registry, "1", into)
    path = into / "emotion_ai" / "1" / name
    for damage in (lambda: path.write_bytes(path.read_bytes()[:-1] + b"?"), path.unlink):
        damage()
        fetch(registry, "1", into)
        assert f"{into}/emotion_ai/1: was altered after it was copied" in capsys.readouterr().err
        assert_holds(into, registry, 1)


def test_an_altered_file_is_refused(registry: str, publish_minimal: Publisher, into: Path) -> None:
    publish_minimal("a")
    uri = storage.join(registry, "1", GRAPH_PATH)
    content = storage.read_bytes(uri, 1000)
    for altered in (content[:-1] + b"?", content[:-1], content + b"?", b""):
        storage.write_bytes(uri, altered)
        with pytest.raises(VerificationError, match=f"{uri}: is not the file that release.json"):
            fetch(registry, "1", into)
        assert_empty(into)


def test_a_missing_file_is_named(registry: str, publish_minimal: Publisher, into: Path) -> None:
    publish_minimal("a")
    storage.remove(storage.join(registry, "1", INDEX))
    with pytest.raises(InputError, match=rf"{INDEX}: no such \w+, but release.json lists it"):
        fetch(registry, "1", into)
    assert_empty(into)


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_of_a_file_that_is_longer_than_listed_no_more_is_read(
    registry: str, publish_minimal: Publisher, into: Path
) -> None:
    publish_minimal("a")
    with Path(registry, "1", GRAPH_PATH).open("ab") as file:
        # Reading it to the end would take an hour.
        file.truncate(1 << 42)
    with pytest.raises(VerificationError, match=GRAPH_PATH):
        fetch(registry, "1", into)
    assert_empty(into)


def listed_file(size: int) -> dict[str, Any]:
    return {"sha256": "0" * 64, "size": size}


HOSTILE_FILES = {
    "too large": ({"x": listed_file(300 << 20), "y": listed_file(300 << 20)}, "629,145,600 bytes"),
    "negative": ({"x": listed_file(-1)}, "files.x.size: Input should be greater"),
    "above": ({"../../../above": listed_file(5)}, "is no path within the folder"),
    "absolute": ({"/tmp/absolute": listed_file(5)}, "is no path within the folder"),
    "within": ({"variables/../../above": listed_file(5)}, "is no path within the folder"),
    "itself": ({INFO_PATH: listed_file(5)}, "is not the file that release.json lists"),
    "folder": ({"variables": listed_file(5)}, "variables: Is a directory|no such object"),
    "long": ({"n" * 300: listed_file(5)}, "File name too long|no such object"),
}


@pytest.mark.parametrize("case", HOSTILE_FILES)
def test_what_release_json_lists_is_not_trusted(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path, case: str
) -> None:
    publish_minimal("a")
    files, message = HOSTILE_FILES[case]
    alter_info(registry, 1, files=files)
    before = files_in(tmp_path)
    with pytest.raises((InputError, VerificationError), match=message):
        fetch(registry, "1", into)
    assert_empty(into)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("release", ["abc", "0", "-1", "1.5", "007", " 1", "1" * 19])
def test_a_release_is_a_number(registry: str, into: Path, release: str) -> None:
    with pytest.raises(InputError, match=f"RELEASE={release}: expected the number of a release"):
        fetch(registry, release, into)
    assert not into.exists()


def test_an_absent_release_is_named_with_those_that_are_there(
    registry: str, publish_minimal: Publisher, into: Path
) -> None:
    publish_minimal("a")
    with pytest.raises(InputError, match=f"{registry}: no release 2; there are: 1"):
        fetch(registry, "2", into)
    assert_empty(into)


def test_a_kill_at_any_write_leaves_a_complete_release_or_none(
    registry: str, publish_minimal: Publisher, into: Path
) -> None:
    publish_minimal("a")
    publish_minimal("b")
    models = str(into / "emotion_ai")
    with running_registry_writers() as writers:
        for write in range(1, _MAX_WRITES):
            # Release 1 goes while 2 comes, and the other way round.
            version = 1 + write % 2
            outcome = writers.fetch(registry, version, into, kill_at_write=write)
            assert outcome["killed"] or not outcome["error"]
            for complete in list_versions(models):
                verify_release(models, complete)
            if not outcome["killed"]:
                break
            if read_champion(str(into)):
                assert read_champion(str(into)) in list_versions(models)
            assert writers.fetch(registry, version, into)["version"] == version
            assert_holds(into, registry, version)
    assert not outcome["killed"]
    assert write > 15
