"""Tests of `registry.fetching`: the step that brings a release into a pod."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.registry import fetching
from emotion_ai.registry.champion import CONFIG_NAME, read_champion, read_config, write_champion
from emotion_ai.registry.fetching import fetch
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    list_versions,
    read_release,
    verify_release,
)
from emotion_ai.rollouts.cluster.names import REGISTRY_VARIABLE, RELEASE_VARIABLE
from emotion_ai.storage import gcs_waiting

from support.cloud_storage import free_port, running_cloud_storage
from support.minimal_release import Publisher, write_minimal_release
from support.registry_writers import running_registry_writers
from support.server_calls import eventually
from support.small_disk import FULL, fill_disk, free_pages, mounted_disk
from support.storage_proxy import running_storage_proxy

_MAX_WRITES = 100
_INDEX = "variables/variables.index"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "models"


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its content."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def assert_holds(into: Path, registry: str, version: int) -> None:
    """Assert that the folder holds this release, byte for byte, and nothing else."""
    names = [GRAPH_PATH, INFO_PATH, _INDEX]
    held = files_in(into)
    config = held.pop(CONFIG_NAME)
    assert held == {
        f"emotion_ai/{version}/{name}": storage.read_bytes(
            storage.join(registry, str(version), name), 1 << 20
        )
        for name in names
    }
    assert f'base_path: "{into}/emotion_ai"'.encode() in config
    assert read_champion(str(into)) == version


def assert_empty(into: Path) -> None:
    assert files_in(into) == {}
    assert list((into / "emotion_ai").iterdir()) == []


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
    storage.remove(storage.join(registry, "1", _INDEX))
    with pytest.raises(InputError, match=rf"{_INDEX}: no such \w+, but release.json lists it"):
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


@contextlib.contextmanager
def in_thread(*arguments: Any) -> Iterator[list[Any]]:
    """Run `fetch` beside the block; yields a list that will have its result."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(fetch(*arguments))
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield results
    finally:
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> int:
    """The port of a Cloud Storage server that is not there; a failure is known soon."""
    port = free_port()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(gcs_waiting, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(fetching, "_POLL_SECONDS", 0.05)
    return port


@pytest.mark.parametrize("release", ["1", ""])
def test_a_bucket_that_comes_back_is_read(
    down: int, into: Path, tmp_path: Path, release: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    registry = tmp_path / "data" / "faces" / "registry"
    publish(str(registry), files, draft)
    write_champion(str(registry), 1)
    said: list[str] = []

    def says_that_it_waits() -> bool:
        said.append(capsys.readouterr().err)
        return "Cloud Storage did not answer" in said[-1]

    with in_thread("gs://faces/registry", release, into) as results:
        eventually(says_that_it_waits)
        with running_cloud_storage("faces", down, tmp_path / "data"):
            eventually(lambda: bool(results))
    assert results[0][:2] == (1, "a")
    assert_holds(into, str(registry), 1)
    # One line for one reason, however often it was tried.
    lines = "".join(said).splitlines()
    assert len(lines) == len({*lines})
    for line in lines:
        assert line.startswith("gs://faces/registry/")
        assert line.endswith("; trying again")


def test_a_bucket_that_stays_away_ends_the_step_in_bounded_time(
    down: int, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_MAX_TRY_SECONDS", 0.3)
    with pytest.raises(Unavailable, match=r"gs://faces/registry.* Cloud Storage did not answer"):
        fetch("gs://faces/registry", "1", into)
    assert_empty(into)


def test_a_bucket_that_goes_away_in_the_middle_leaves_nothing_and_is_tried_again(
    cloud_storage: str,
    into: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    registry = storage.join(cloud_storage, tmp_path.name)
    files, draft = write_minimal_release(tmp_path / "export", "a")
    publish(registry, files, draft)
    # One refusal is a failure then, without a second try.
    monkeypatch.setattr(gcs_waiting, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(fetching, "_POLL_SECONDS", 0.01)
    with running_storage_proxy(os.environ["STORAGE_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
        requests = 0

        def decide(method: str) -> tuple[int, bool]:
            nonlocal requests
            requests += 1
            return (503, False) if requests == 4 else (0, True)

        monkeypatch.setattr(proxy, "decide", decide)
        assert fetch(registry, "1", into).release == 1
    assert_holds(into, registry, 1)
    assert requests > 4
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{registry}/1/")
    assert "Cloud Storage did not answer" in line


def test_a_registry_on_a_read_only_volume_is_read(into: Path, tmp_path: Path) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    with mounted_disk(tmp_path / "disk") as disk:
        registry = str(disk / "registry")
        publish(registry, files, draft)
        write_champion(registry, 1)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(Unavailable, match="Read-only file system"):
            write_champion(registry, 1)
        assert fetch(registry, "", into).release == 1
        assert_holds(into, registry, 1)


def test_a_full_folder_is_named_at_once_and_holds_no_part_of_a_release(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = str(tmp_path / "registry")
    files, draft = write_minimal_release(tmp_path / "export", "a")
    publish(registry, files, draft)
    with mounted_disk(tmp_path / "disk") as disk:
        into = disk / "models"
        for pages in range(64):
            fill_disk(disk, pages)
            free = free_pages(disk)
            with in_thread(registry, "1", into) as results:
                pass
            if not isinstance(results[0], Unavailable):
                break
            assert str(disk) in str(results[0])
            assert str(results[0]).endswith(FULL)
            # A copy may be complete; then its configuration did not fit.
            models = str(into / "emotion_ai")
            assert read_champion(str(into)) is None
            for version in list_versions(models):
                verify_release(models, version)
                shutil.rmtree(into / "emotion_ai" / str(version))
            assert not [path for path in files_in(into) if "/." in path]
            if into.exists():
                shutil.rmtree(into)
            assert free_pages(disk) == free
        assert pages > 3
        assert_holds(into, registry, 1)
    assert "trying again" not in capsys.readouterr().err


def run_program(into: Path, log: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emotion_ai.registry.fetching", "--into", str(into)]
    inherited = {name: value for name, value in os.environ.items() if name != RELEASE_VARIABLE}
    return subprocess.run(
        [*command, "--termination-log", str(log)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_program_leaves_its_result_as_the_termination_message(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    log.write_text("the message of a former container, which was longer than this one's " * 10)
    environment = {REGISTRY_VARIABLE: registry, RELEASE_VARIABLE: "1"}
    done = run_program(into, log, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"release 1 is in {into}/emotion_ai/1: ")
    message = json.loads(log.read_text())
    assert message.pop("seconds") > 0
    size = sum(file.size for file in read_release(registry, 1).files.values())
    assert message == {"release": 1, "content_digest": "a", "bytes": size}
    assert_holds(into, registry, 1)


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_the_program_ends_with_the_reason_as_the_termination_message(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    log.touch()
    altered = Path(registry, "1", GRAPH_PATH)
    altered.write_bytes(altered.read_bytes()[::-1])
    for release, code, reason in (
        ("abc", 2, "RELEASE=abc: expected the number of a release, 1 or more"),
        ("0", 2, "RELEASE=0: expected the number of a release, 1 or more"),
        ("2", 2, f"{registry}: no release 2; there are: 1"),
        ("1", 1, f"{altered}: is not the file that release.json lists; publish a new release or"),
    ):
        done = run_program(into, log, REGISTRY=registry, RELEASE=release)
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (code, "")
        assert line == f"emotion-ai: error (exit code {code}): {log.read_text()}"
        assert log.read_text().startswith(reason)
    no_registry = run_program(into, log, REGISTRY="")
    assert no_registry.returncode == 2
    assert log.read_text().startswith("REGISTRY is not set; expected a folder or gs://")


@pytest.mark.parametrize("registry", ["local"], indirect=True)
def test_the_program_makes_no_termination_message_outside_a_pod(
    registry: str, publish_minimal: Publisher, into: Path, tmp_path: Path
) -> None:
    publish_minimal("a")
    log = tmp_path / "termination-log"
    # An empty RELEASE is none.
    write_champion(registry, 1)
    assert run_program(into, log, REGISTRY=registry, RELEASE="").returncode == 0
    assert not log.exists()


def test_the_program_is_light() -> None:
    script = (
        "import sys\n"
        "import emotion_ai.registry.fetching, emotion_ai.storage.gcs\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {
        "tensorflow",
        "tensorflow_serving",
        "keras",
        "pandas",
        "kfp",
        "kubernetes",
        "google.cloud",
        "grpc",
    }
