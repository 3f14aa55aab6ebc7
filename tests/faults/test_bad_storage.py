"""Cloud Storage that refuses requests, loses responses, denies access, or has no bucket."""

import os
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

from support.command_line import assert_refused, emotion_ai
from support.minimal_release import write_minimal_release
from support.storage_proxy import StorageProxy, running_storage_proxy


@pytest.fixture
def proxy(cloud_storage: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StorageProxy]:
    """A proxy in front of the server of the `cloud_storage` fixture."""
    with running_storage_proxy(os.environ["STORAGE_EMULATOR_HOST"]) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.address)
        yield proxy


@pytest.fixture
def registry(cloud_storage: str, tmp_path: Path) -> str:
    return storage.join(cloud_storage, tmp_path.name)


@pytest.mark.parametrize("status", [429, 503])
def test_storage_retries_transient_errors(
    proxy: StorageProxy, registry: str, tmp_path: Path, status: int
) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
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


def test_publish_survives_lost_responses(
    proxy: StorageProxy, registry: str, tmp_path: Path
) -> None:
    """A retried upload finds the object that its first attempt created."""
    for version, digest in enumerate("ab", 1):
        files, draft = write_minimal_release(tmp_path / digest, digest)
        proxy.lose_responses(3)
        assert publish(registry, files, draft) == (version, True)
        assert proxy.refused == 3
        verify_release(registry, version)
    assert storage.list_names(registry) == ["1", "2"]


def test_put_distinguishes_another_writer_from_a_lost_response(
    proxy: StorageProxy, registry: str
) -> None:
    uri = storage.join(registry, "object")
    first = gcs.put(uri, b"first", 0)
    proxy.lose_responses(1)
    with pytest.raises(gcs.AlreadyExists):
        gcs.put(uri, b"second", 0)
    assert gcs.read_generation(uri) == (b"first", first)
    proxy.lose_responses(1)
    second = gcs.put(uri, b"second", first)
    assert gcs.read_generation(uri) == (b"second", second)
    gcs.remove(uri, second)
    assert not storage.exists(uri)


def test_access_denied_is_reported_and_not_retried(
    proxy: StorageProxy, registry: str, tmp_path: Path
) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    proxy.refuse(1000, 403)
    message = rf"{re.escape(registry)}\S*: Cloud Storage gives no access: .*403.*grant"
    with pytest.raises(Unavailable, match=message):
        publish(registry, files, draft)
    with pytest.raises(Unavailable, match=message):
        describe(registry, None, None)
    assert proxy.refused < 6
    proxy.refuse(0, 0)
    assert storage.list_names(registry) == []


def test_publish_describe_and_write_champion_name_a_missing_bucket(
    cloud_storage: str, tmp_path: Path
) -> None:
    files, draft = write_minimal_release(tmp_path / "export", "a")
    message = "gs://no-such-bucket: no such bucket; create it"
    with pytest.raises(InputError, match=message):
        publish("gs://no-such-bucket/registry", files, draft)
    with pytest.raises(InputError, match=message):
        describe("gs://no-such-bucket/registry", None, None)
    with pytest.raises(InputError, match=message):
        write_champion("gs://no-such-bucket/registry", 1)


def test_serve_rejects_a_missing_bucket_and_waits_in_an_existing_one(
    registry: str, tmp_path: Path
) -> None:
    result = emotion_ai("serve", "--registry", "gs://no-such-bucket/registry", "--port", "0")
    assert_refused(result, 2, "gs://no-such-bucket: no such bucket; create it")
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
        waiting_line, serving_line = server.stdout.readline(), server.stdout.readline()
        server.terminate()
        server.communicate(timeout=60)
    assert waiting_line == f"waiting for the first rollout: no models.config in {registry} yet\n"
    assert serving_line.startswith("serving emotion_ai on 127.0.0.1:")
    assert server.returncode == 0


def test_publish_removes_a_partial_upload(registry: str, tmp_path: Path) -> None:
    """A file that cannot be read ends the upload after release.json has claimed the version."""
    files, draft = write_minimal_release(tmp_path / "export", "a")
    index = files["variables/variables.index"]
    text = index.read_bytes()
    index.unlink()
    with pytest.raises(InputError, match=re.escape(f"{index}: no such file")):
        publish(registry, files, draft)
    assert storage.list_names(registry) == []
    index.write_bytes(text)
    assert publish(registry, files, draft) == (1, True)
