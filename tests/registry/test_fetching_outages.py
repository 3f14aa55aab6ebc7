"""Fetching while the bucket is away, from a read-only volume, and onto a full disk."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.registry import fetching
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.fetching import fetch
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import (
    list_versions,
    verify_release,
)
from emotion_ai.storage import gcs_waiting

from support.cloud_storage import free_port, running_cloud_storage
from support.fetched_releases import assert_empty, assert_holds, files_in
from support.minimal_release import write_minimal_release
from support.server_calls import eventually
from support.small_disk import FULL, fill_disk, free_pages, mounted_disk
from support.storage_proxy import running_storage_proxy


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
