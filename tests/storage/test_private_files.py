"""Faces and what is said of them is for its owner alone; what a server reads is for all."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai import storage
from emotion_ai.apps.predict.journal import open_journal
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.errors import InputError
from emotion_ai.html_page import write_page
from emotion_ai.registry.champion import CONFIG_NAME, write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.runs import record_report, write_record
from emotion_ai.storage.atomic_files import check_writable_name, create_private
from emotion_ai.storage.local import open_regular

from support.fake_prediction_server import fake_prediction_server
from support.minimal_release import write_minimal_release
from support.prepared_faces import write_faces


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_faces_are_private(tmp_path: Path) -> None:
    write_faces(tmp_path / "faces", "expression")
    assert mode(tmp_path / "faces") == 0o700
    assert {mode(path) for path in (tmp_path / "faces").iterdir()} == {0o600}


def test_pages_results_and_journals_are_private(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "Faces", "They are shown.", [], [])
    with atomic_output(tmp_path / "timeline.csv") as partial:
        # Libraries that take a name open it themselves.
        partial.write_text("time_s")
    with open_journal(tmp_path / "results.jsonl", {}):
        assert mode(tmp_path / ".results.jsonl.journal") == 0o600
    create_private(tmp_path / "log").close()
    assert {mode(path) for path in tmp_path.iterdir()} == {0o600}


def test_predictions_and_annotated_photos_are_private(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(tmp_path / "photos" / "a.png")
    command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "predict", "photos"]
    command += ["--faces", "whole", "--annotate", "seen", "-o", "results.csv"]
    with fake_prediction_server() as server:
        command += ["--server", server.address]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    assert mode(tmp_path / "results.csv") == 0o600
    assert mode(tmp_path / "seen") == 0o700
    assert mode(tmp_path / "seen" / "a.jpg") == 0o600


def test_a_leftover_for_all_to_read_becomes_private(tmp_path: Path) -> None:
    (tmp_path / ".a.html.partial").touch(0o666)
    storage.write_bytes(str(tmp_path / "a.html"), b"faces")
    assert mode(tmp_path / "a.html") == 0o600


def test_a_server_of_another_user_reads_a_release_and_no_report(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    files, draft = write_minimal_release(tmp_path / "export", "a")
    publish(str(registry), files, draft)
    write_champion(str(registry), 1)
    write_record(str(registry), "run-1", "gate", {})
    (tmp_path / "data.html").write_text("<html>")
    record_report(str(registry), "run-1", "data", str(tmp_path / "data.html"))
    private = {path.name for path in registry.rglob("*") if not mode(path) & 0o004}
    assert private == {"data.html"}
    assert mode(registry / CONFIG_NAME) == 0o644
    assert mode(registry / "1") == 0o755


def test_a_stricter_umask_holds(tmp_path: Path) -> None:
    os.umask(0o077)
    storage.write_bytes(str(tmp_path / "models.config"), b"", storage.SHARED)
    assert mode(tmp_path / "models.config") == 0o600


@pytest.mark.parametrize("name", ["pipe", "/dev/null"])
def test_nothing_is_written_in_the_place_of_a_pipe_or_a_device(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    before = path.stat()
    with pytest.raises(InputError, match="pipe or a device"):
        check_writable_name(path)
    with pytest.raises(InputError, match="pipe or a device"):
        storage.write_bytes(str(path), b"new")
    assert path.stat().st_mode == before.st_mode


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_pipes_and_devices_are_not_read(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        open_regular(tmp_path / name)
    with pytest.raises(InputError, match="not a regular file"):
        storage.read_bytes(str(tmp_path / name), 10)


def test_addresses_of_local_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of/mine")
    assert storage.local_path("~/models") == Path("/home/of/mine/models")
    assert storage.local_path("file:///a%20b") == Path("/a b")
    for uri in ("a\0b", "file:///a%00b"):
        with pytest.raises(InputError, match="no zero character"):
            storage.local_path(uri)


def test_commands_refuse_pipes_and_names_that_crash_a_library(tmp_path: Path) -> None:
    """Most libraries would wait for a writer for ever; OpenCV takes no name but in UTF-8."""
    for name in ("pipe.png", "pipe.pem", "pipe.yaml", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
    for name in ("a.gif", os.fsdecode(b"\xff.gif")):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    server = ("--server", "localhost:1")
    refusals: list[tuple[list[str | bytes], bytes]] = [
        (["predict", "pipe.png"], b"pipe.png: not a regular file"),
        (["predict", "a.gif", *server, "--tls-ca", "pipe.pem"], b"pipe.pem: not a regular file"),
        (["predict", "a.gif", "-o", "pipe.png", "--format", "csv"], b"pipe.png: this is a pipe"),
        (["compile", "-o", "pipe.yaml"], b"pipe.yaml: this is a pipe"),
        (["describe", "--registry", "file:///a%00"], b"no zero character"),
        (["watch", "pipe.mp4"], b"pipe.mp4: not a regular file"),
        (["watch", b"\xff.gif"], b"expected a path in UTF-8"),
        (["watch", "a.gif", "--annotate", b"\xff.mp4"], b"expected a path in UTF-8"),
        (["watch", "a.gif", "--plot", b"\xff.png"], b"expected a path in UTF-8"),
    ]
    for arguments, words in refusals:
        command = [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
        assert result.returncode == 2, result
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_predict_of_names_that_are_no_utf8(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((100, 100), np.uint8)).save(tmp_path / os.fsdecode(b"\xe9.png"))
    with fake_prediction_server() as server:
        command = [sys.executable, "-m", "emotion_ai.pipeline.cli", "predict", b"\xe9.png"]
        command += ["--faces", "whole", "--server", server.address]
        command += ["--annotate", b"\xff", "-o", b"\xfe.csv"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    names = sorted(os.fsencode(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert names == [b"\xe9.png", b"\xfe.csv", b"\xff", b"\xff/\xe9.jpg"]
    assert "\n\ufffd.png,0," in (tmp_path / os.fsdecode(b"\xfe.csv")).read_text()


@pytest.mark.parametrize("flag", ["--registry", "--model_base_path"])
def test_a_registry_has_a_name_in_utf8(flag: str, tmp_path: Path) -> None:
    """Configurations, records and releases name it."""
    command = [
        sys.executable,
        "-m",
        "emotion_ai.pipeline.cli",
        "serve",
        flag,
        b"\xff",
        "--port",
        "0",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().endswith(
        "\ufffd: expected a path in UTF-8, without control characters\n"
    )
