"""Cloud Storage on a bad day: it refuses, loses answers, gives no access, or is not there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import list_versions, verify_release
from emotion_ai.rollouts.description import describe
from emotion_ai.storage import gcs

from support.command_line import emotion_ai, refused
from support.minimal_release import small_release
from support.storage_proxy import Proxy, running_proxy


@pytest.fixture
def proxy(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the server that the `cloud_storage` fixture gave."""
    import os

    with running_proxy(os.environ["STORAGE_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
        yield proxy


@pytest.fixture
def registry(cloud_storage: str, tmp_path: Path) -> str:
    return storage.join(cloud_storage, tmp_path.name)


@pytest.mark.parametrize("status", [429, 503])
def test_transient_refusals_are_outlived(
    proxy: Proxy, registry: str, tmp_path: Path, status: int
) -> None:
    files, draft = small_release(tmp_path / "export", "a")
    proxy.refuse(2, status)
    assert publish(registry, files, draft) == (1, True)
    assert proxy.refused == 2
    proxy.refuse(1, status)
    verify_release(registry, 1)
    proxy.refuse(1, status)
    write_champion(registry, 1)
    proxy.refuse(1, status)
    assert read_champion(registry) == 1
    proxy.refuse(1, status)
    assert list_versions(registry) == [1]


def test_an_upload_whose_answer_was_lost_is_no_other_writer(
    proxy: Proxy, registry: str, tmp_path: Path
) -> None:
    """The repeated upload meets the object that the first one made."""
    for version, digest in enumerate("ab", 1):
        files, draft = small_release(tmp_path / digest, digest)
        proxy.lose_answers(3)
        assert publish(registry, files, draft) == (version, True)
        assert proxy.refused == 3
        verify_release(registry, version)
    assert storage.list_names(registry) == ["1", "2"]


def test_another_writer_is_told_from_a_lost_answer(proxy: Proxy, registry: str) -> None:
    uri = storage.join(registry, "object")
    first = gcs.put(uri, b"first", 0)
    proxy.lose_answers(1)
    with pytest.raises(gcs.AlreadyExists):
        gcs.put(uri, b"second", 0)
    assert gcs.read_generation(uri) == (b"first", first)
    proxy.lose_answers(1)
    second = gcs.put(uri, b"second", first)
    assert gcs.read_generation(uri) == (b"second", second)
    gcs.remove(uri, second)
    assert not storage.exists(uri)


def test_no_access_is_said_and_not_tried_again(proxy: Proxy, registry: str, tmp_path: Path) -> None:
    files, draft = small_release(tmp_path / "export", "a")
    proxy.refuse(1000, 403)
    says = rf"{re.escape(registry)}\S*: Cloud Storage gives no access: .*403.*grant"
    with pytest.raises(Unavailable, match=says):
        publish(registry, files, draft)
    with pytest.raises(Unavailable, match=says):
        describe(registry, None, None)
    assert proxy.refused < 6
    proxy.refuse(0, 0)
    assert storage.list_names(registry) == []


def test_a_bucket_that_is_not_there_is_named_by_all(cloud_storage: str, tmp_path: Path) -> None:
    files, draft = small_release(tmp_path / "export", "a")
    says = "gs://nobody: no such bucket; create it"
    with pytest.raises(InputError, match=says):
        publish("gs://nobody/registry", files, draft)
    with pytest.raises(InputError, match=says):
        describe("gs://nobody/registry", None, None)
    with pytest.raises(InputError, match=says):
        write_champion("gs://nobody/registry", 1)


def test_serve_names_a_bucket_that_is_not_there_and_waits_in_one_that_is(
    registry: str, tmp_path: Path
) -> None:
    serving = emotion_ai("serve", "--registry", "gs://nobody/registry", "--port", "0")
    refused(serving, 2, "gs://nobody: no such bucket; create it")
    command = [
        sys.executable,
        "-m",
        "emotion_ai.pipeline.cli",
        "serve",
        "--registry",
        registry,
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        waits, serves = server.stdout.readline(), server.stdout.readline()
        server.terminate()
        server.communicate(timeout=60)
    assert waits == f"waiting for the first rollout: no models.config in {registry} yet\n"
    assert serves.startswith("serving emotion_ai on 127.0.0.1:")
    assert server.returncode == 0


def test_a_failure_in_the_middle_leaves_no_half(registry: str, tmp_path: Path) -> None:
    """A file that cannot be read ends the upload after release.json has claimed the number."""
    files, draft = small_release(tmp_path / "export", "a")
    index = files["variables/variables.index"]
    text = index.read_bytes()
    index.unlink()
    with pytest.raises(InputError, match=re.escape(f"{index}: no such file")):
        publish(registry, files, draft)
    assert storage.list_names(registry) == []
    index.write_bytes(text)
    assert publish(registry, files, draft) == (1, True)
