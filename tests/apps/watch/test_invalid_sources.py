"""`emotion-ai watch` with damaged videos, invalid sources and outputs, and missing packages."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import every_nth, open_file
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable

from support.command_line import assert_refused, emotion_ai
from support.videos import FPS, partial_outputs, save_video, two_people


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_recording_reads_or_rejects_damaged_videos(tmp_path: Path, suffix: str) -> None:
    data = save_video(tmp_path / f"whole{suffix}", two_people(1, FPS), FPS).read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / f"damaged{suffix}"
    read, refusals = 0, []
    for _ in range(40):
        damaged = np.frombuffer(data, np.uint8).copy()
        # Headers and indices are at the ends.
        positions = rng.integers(0, [200, len(data)][rng.integers(2)], 8) * rng.choice([1, -1], 8)
        damaged[positions] = rng.integers(0, 256, 8)
        path.write_bytes(damaged.tobytes())
        try:
            file = open_file(path)
            for frame in file.frames(every_nth(1)):
                assert frame.image.ndim == 3
                read += 1
            file.close()
        except InputError as failure:
            refusals.append(str(failure))
    assert read > 50
    assert refusals
    assert all(str(path) in reason for reason in refusals)


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("share", [0.1, 0.5], ids=["first-frame", "middle"])
def test_recording_tells_of_damage_that_the_decoder_hides(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = save_video(tmp_path / f"video{suffix}", two_people(2, FPS), FPS)
    data = bytearray(path.read_bytes())
    start = round(share * len(data))
    data[start : start + 300] = np.random.default_rng(1).bytes(300)
    path.write_bytes(data)
    with contextlib.closing(open_file(path)) as file:
        frames = file.frames(every_nth(1))
        assert [next(frames).number for _ in range(20)] == [*range(20)]
        with pytest.raises(InputError, match=r"of 20 frames the decoder met an error"):
            next(frames)


def invalid_sources(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Make invalid sources; yield their names, the exit codes, and a part of the messages."""
    (folder / "text.mp4").write_text("no video\n" * 500)
    (folder / "empty.mp4").touch()
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")
    whole = save_video(folder / "whole.mp4", two_people(1, FPS), FPS).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    large = np.zeros((8, 8_000_008, 3), np.uint8)
    Image.fromarray(large[:, :9]).save(folder / "tiny.gif")
    for name in ("text.mp4", "list.m3u8", "cut.mp4"):
        yield name, 2, "no video that can be read"
    yield "empty.mp4", 2, "the file is empty"
    yield "tiny.gif", 2, "9x8 pixels; expected at least 16 a side"
    yield "missing.mp4", 2, "No such file"
    yield ".", 2, "this is a folder"
    yield "", 2, "no source"
    yield "97", 2, "there is no /dev/video97"
    yield "ftp://host/a.mp4", 2, "expected rtsp://"
    yield "/dev/null", 2, "no camera"
    yield "rtsp://me:secret@127.0.0.1:9/a", 1, "rtsp://127.0.0.1:9/a: no video answers there"
    yield "http://127.0.0.1:9/a.mp4", 1, "/a.mp4: no video answers there: Connection refused"


def test_watch_rejects_what_is_not_a_video(tmp_path: Path) -> None:
    for name, code, message in invalid_sources(tmp_path):
        source = name if "/" in name or name.isdecimal() or not name else str(tmp_path / name)
        with Client("127.0.0.1:9") as client, pytest.raises((InputError, Unavailable)) as failure:
            watch(source, client, Outputs(tmp_path / "faces.csv"))
        assert message in str(failure.value)
        assert failure.value.exit_code == code
        assert "secret" not in str(failure.value)
        assert not (tmp_path / "faces.csv").exists()
        assert not partial_outputs(tmp_path)


def test_watch_command_fails_with_one_line(video: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 500)
    (tmp_path / "folder.csv").mkdir()
    for arguments, code, message in (
        (("text.mp4",), 2, "text.mp4: no video that can be read"),
        ((str(video), "-o", "none/faces.csv"), 2, "there is no folder none"),
        ((str(video), "-o", "folder.csv"), 2, "this is a folder"),
        ((str(video), "--annotate", "seen.avi"), 2, ".mp4 or .webm"),
        ((str(video), "--annotate", str(video)), 2, "this is the source"),
        (
            (str(video), "-o", "faces.csv", "--server", "127.0.0.1:9"),
            1,
            "no model server answers there (Connection refused)",
        ),
    ):
        assert_refused(emotion_ai("watch", *arguments, cwd=tmp_path), code, message)
    assert not (tmp_path / "faces.csv").exists()
    assert not partial_outputs(tmp_path)


def test_watch_names_the_missing_package(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    load_opencv.cache_clear()
    with Client("127.0.0.1:9") as client, pytest.raises(InputError, match=r"emotion-ai\[video\]"):
        watch(str(video), client)


def test_watch_rejects_a_file_that_another_process_writes(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    with Client("127.0.0.1:9") as client, atomic_output(path) as partial:
        partial.write_text("of the other process")
        with pytest.raises(InputError, match="another process is writing it"):
            watch(str(video), client, Outputs(path))
    assert path.read_text() == "of the other process"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
def test_watch_names_the_command_that_reads_a_picture(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (80, 60), "gray").save(tmp_path / f"my photo.{suffix}")
    command = f"`emotion-ai predict 'my photo.{suffix}'` reads it"
    result = emotion_ai("watch", f"my photo.{suffix}", cwd=tmp_path)
    assert_refused(result, 2, "this is a picture", command)
