"""Tests of `storage` on a disk and in a Cloud Storage emulator."""

import gzip
import hashlib
import io
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.storage import gcs, gcs_waiting


@pytest.fixture(params=["local", "file", "gs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder in each kind of storage."""
    if request.param == "gs":
        bucket = request.getfixturevalue("cloud_storage")
        return storage.join(bucket, tmp_path.name)
    return str(tmp_path) if request.param == "local" else f"file://{tmp_path}"


def test_read_bytes_returns_what_write_bytes_wrote(folder: str) -> None:
    uri = storage.join(folder, "deep", "name.bin")
    assert not storage.exists(uri)
    storage.write_bytes(uri, b"first")
    storage.write_bytes(uri, b"second")
    assert storage.read_bytes(uri, 6) == b"second"
    assert storage.exists(uri)
    assert storage.exists(storage.join(folder, "deep"))
    assert storage.sha256(uri) == hashlib.sha256(b"second").hexdigest()
    storage.write_bytes(uri, b"")
    assert storage.read_bytes(uri, 6) == b""
    storage.remove(uri)
    storage.remove(uri)
    assert not storage.exists(uri)


def test_list_names_is_sorted_and_not_recursive(folder: str) -> None:
    assert storage.list_names(folder) == []
    for names in (["b"], ["a", "x"], ["a", "y"], ["10"]):
        storage.write_bytes(storage.join(folder, *names), b"")
    assert storage.list_names(folder) == ["10", "a", "b"]
    assert storage.list_names(folder + "/") == ["10", "a", "b"]
    assert storage.list_names(storage.join(folder, "a")) == ["x", "y"]


def test_read_bytes_rejects_longer_files(folder: str) -> None:
    uri = storage.join(folder, "long")
    storage.write_bytes(uri, b"12345")
    assert storage.read_bytes(uri, 5) == b"12345"
    assert storage.read_bytes(uri, 500) == b"12345"
    with pytest.raises(InputError, match="long: larger than 4 bytes"):
        storage.read_bytes(uri, 4)


def test_reading_a_missing_file_raises_not_found(folder: str) -> None:
    uri = storage.join(folder, "absent")
    for read in (storage.open_binary, storage.sha256, lambda uri: storage.read_bytes(uri, 1)):
        with pytest.raises(storage.NotFound, match="absent: no such"):
            read(uri)


def test_open_binary_is_seekable_for_zip_and_gzip(folder: str) -> None:
    text = b"row\n" * 50_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("faces.csv", text)
    storage.write_bytes(storage.join(folder, "faces.zip"), buffer.getvalue())
    storage.write_bytes(storage.join(folder, "faces.gz"), gzip.compress(text))
    with (
        storage.open_binary(storage.join(folder, "faces.zip")) as file,
        zipfile.ZipFile(file) as archive,
    ):
        assert archive.read("faces.csv") == text
    with storage.open_binary(storage.join(folder, "faces.gz")) as file, gzip.open(file) as rows:
        assert rows.read() == text


def test_open_binary_never_mixes_two_generations(cloud_storage: str) -> None:
    uri = storage.join(cloud_storage, "replaced")
    storage.write_bytes(uri, b"old")
    with storage.open_binary(uri) as file:
        storage.write_bytes(uri, b"new")
        with pytest.raises(storage.NotFound, match="replaced"), storage.translate_errors(uri):
            file.read()
    assert storage.read_bytes(uri, 10) == b"new"


def test_cloud_storage_streams_large_files(cloud_storage: str, tmp_path: Path) -> None:
    large, copy = tmp_path / "large", tmp_path / "copy"
    large.write_bytes(np.random.default_rng(0).bytes(1 << 20) * 64)
    uri = storage.join(cloud_storage, tmp_path.name)
    gcs.put(storage.join(uri, "small"), b"the imports of a first request", 0)
    tracemalloc.start()
    try:
        gcs.put(storage.join(uri, "large"), large, 0)
        assert storage.sha256(storage.join(uri, "large")) == storage.sha256(str(large))
        storage.download(storage.join(uri, "large"), copy)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert copy.read_bytes() == large.read_bytes()


def test_read_bytes_names_a_missing_bucket(cloud_storage: str) -> None:
    with pytest.raises(InputError, match="gs://no-such-bucket: no such bucket"):
        storage.read_bytes("gs://no-such-bucket/x", 1)
    with pytest.raises(InputError, match="names no bucket"):
        storage.read_bytes("gs:///x", 1)


def test_read_bytes_raises_unavailable_if_cloud_storage_is_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gcs_waiting, "RETRY_SECONDS", 1.0)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(Unavailable, match=r"gs://faces/x: Cloud Storage did not answer"):
        storage.read_bytes("gs://faces/x", 1)


def test_read_bytes_rejects_unknown_schemes() -> None:
    for uri in ("s3://bucket/x", "sample://2000?seed=1", "https://host/x"):
        with pytest.raises(InputError, match=uri.split(":")[0] + "://"):
            storage.read_bytes(uri, 1)


def test_read_bytes_rejects_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        storage.read_bytes(str(tmp_path), 1)


def test_write_bytes_keeps_the_old_content_if_the_disk_is_full(tmp_path: Path) -> None:
    """A limit of 4 KiB a file simulates the full disk."""
    target = tmp_path / "models.config"
    target.write_bytes(b"old")
    script = (
        "import resource, signal, sys\n"
        "from emotion_ai import storage\n"
        "from emotion_ai.errors import Unavailable\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    storage.write_bytes(sys.argv[1], b'n' * 100_000)\n"
        "except Unavailable as error:\n"
        "    sys.exit(str(error))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@given(data=st.binary(max_size=4096), limit=st.integers(0, 4096))
def test_any_content_is_read_back_or_rejected_for_its_size(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, limit: int
):
    uri = str(tmp_path_factory.getbasetemp() / "property")
    storage.write_bytes(uri, data)
    if len(data) <= limit:
        assert storage.read_bytes(uri, limit) == data
    else:
        with pytest.raises(InputError):
            storage.read_bytes(uri, limit)


def test_join() -> None:
    assert storage.join("gs://b/", "a", "c") == "gs://b/a/c"
    assert storage.join("gs://b", "a") == "gs://b/a"
    assert storage.join("/", "a") == "/a"
    assert storage.join("x/", "a") == "x/a"


def test_local_files_do_not_import_the_cloud_library() -> None:
    script = (
        "import sys; from emotion_ai import storage; storage.list_names('.');"
        "sys.exit('google.cloud.storage' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_last_changes_is_the_time_of_each_folders_newest_file(folder: str) -> None:
    root = storage.join(folder, "runs")
    assert storage.last_changes(root) == {}
    for name in ("a/old", "a/deep/.hidden", "b/only", "file"):
        storage.write_bytes(storage.join(root, *name.split("/")), b"x")
    before = time.time()
    assert set(storage.last_changes(root)) == {"a", "b"}
    assert all(abs(changed - before) < 3600 for changed in storage.last_changes(root).values())
    first = storage.last_changes(root)
    time.sleep(0.05)
    storage.write_bytes(storage.join(root, "a", "deep", ".hidden"), b"y")
    second = storage.last_changes(root)
    assert second["a"] > first["a"]
    assert second["b"] == first["b"]


def test_last_changes_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    (root / "empty").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert set(storage.last_changes(str(root))) == {"empty"}


def test_remove_folder_removes_everything_in_it_and_nothing_beside(folder: str) -> None:
    for name in ("a/x", "a/deep/.hidden", "ab/x", "b"):
        storage.write_bytes(storage.join(folder, *name.split("/")), b"x")
    storage.remove_folder(storage.join(folder, "a"))
    assert storage.list_names(folder) == ["ab", "b"]
    storage.remove_folder(storage.join(folder, "a"))


def test_remove_folder_leaves_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    storage.remove_folder(str(tmp_path / "folder"))
    assert [path.name for path in tmp_path.rglob("*")] == ["elsewhere", "kept"]
