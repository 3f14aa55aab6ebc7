"""`emotion-ai watch` on generated videos of drawn faces, against a server that answers as told."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import open_file
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.client.client import Client
from emotion_ai.client.drawing import COLOURS
from emotion_ai.errors import InputError, Unavailable

from support.command_line import assert_refused, emotion_ai
from support.fake_prediction_server import fake_prediction_server
from support.small_disk import fill_disk, mounted_disk
from support.videos import drawn_faces, save_video, scene, two_people

FPS = 10.0


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people over 6 seconds, 60 frames."""
    path = tmp_path_factory.mktemp("video") / "two.mp4"
    return save_video(path, two_people(6, FPS), FPS)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return parquet.read_table(path).to_pylist()


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    file = open_file(path)
    return [frame.image for frame in file.frames(1)]


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".partial" in path.name]


def test_timeline_has_a_row_for_each_face_and_frame(video: Path, tmp_path: Path) -> None:
    with fake_prediction_server() as server, Client(server.address) as client:
        for name in ("faces.csv", "faces.parquet"):
            watch(str(video), client, Outputs(tmp_path / name), every=3)
    rows = rows_of(tmp_path / "faces.parquet")
    assert [(row["frame"], row["track"]) for row in rows] == [
        (frame, track) for frame in range(0, 60, 3) for track in (1, 2)
    ]
    for row in rows:
        assert row["time_s"] == pytest.approx(row["frame"] / FPS, abs=0.002)
        # The one that goes to and fro stays on the left.
        assert (row["left"] > 150) == (rows[row["track"] - 1]["left"] > 150)
        assert row["top"] <= row["nose_tip_y"] <= row["top"] + row["height"]
        told = (row["emotion"], row["probability_happy"], row["probability_sad"])
        assert told == ("happy", 0.75, 0.25)
        assert row["model_version"] == 7
    with (tmp_path / "faces.csv").open() as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(rows[0])
    without_latency = [{k: v for k, v in row.items() if k != "latency_ms"} for row in rows]
    assert [
        {k: type(expected[k])(row[k]) for k in expected}
        for row, expected in zip(read, without_latency, strict=True)
    ] == without_latency


def test_watch_prints_each_minute_as_json_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = drawn_faces(1, 96)[0]
    frames = (scene([(face, 50, 50)] if k < 90 else []) for k in range(130))
    path = save_video(tmp_path / "slow.mp4", frames, 1.0)
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, every=10)
    printed = capsys.readouterr()
    told = [json.loads(line) for line in printed.out.splitlines()]
    assert told == [
        {
            "minute": minute,
            "track": 1,
            "from_s": 60.0 * minute,
            "to_s": last,
            "looks": looks,
            "emotion": "happy",
            "shown": {"happy": 1.0},
            "probabilities": {"happy": 0.75, "sad": 0.25},
        }
        for minute, last, looks in ((0, 50.0, 6), (1, 80.0, 3))
    ]
    assert "13 of 121 frames looked at; 1 faces followed" in printed.err


def test_watch_keeps_a_track_over_a_short_absence_only(tmp_path: Path) -> None:
    face = drawn_faces(1, 96)[0]
    away = [*range(20, 30), *range(50, 90)]
    frames = (scene([] if k in away else [(face, 50 + k, 50)]) for k in range(100))
    path = save_video(tmp_path / "away.mp4", frames, FPS)
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, Outputs(tmp_path / "faces.parquet"), every=2)
    tracks = {row["frame"]: row["track"] for row in rows_of(tmp_path / "faces.parquet")}
    assert tracks == {k: 1 if k < 50 else 2 for k in range(0, 100, 2) if k not in away}


def test_plot_has_the_colours_of_the_predicted_emotions(video: Path, tmp_path: Path) -> None:
    with fake_prediction_server() as server, Client(server.address) as client:
        outputs = Outputs(plot=tmp_path / "plot.png")
        watch(str(video), client, outputs)
        priced = tmp_path / "$5 & $^_{6.mp4"
        priced.write_bytes(video.read_bytes())
        watch(str(priced), client, Outputs(plot=tmp_path / "plot.svg"))
    with Image.open(tmp_path / "plot.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    counts = {name: (pixels == COLOURS[name]).all(1).sum() for name in ("happy", "sad", "fear")}
    assert counts["happy"] > 2 * counts["sad"] > 1000
    assert counts["fear"] == 0
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert not left_over(tmp_path)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_annotated_video_is_the_video_with_boxes(video: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"seen{suffix}"
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(video=target), every=4)
    before, after = frames_of(video), frames_of(target)
    assert (len(after), open_file(target).fps) == (60, FPS)
    yellow = np.array(COLOURS["happy"][::-1])
    for k in (0, 30, 59):
        change = np.abs(before[k].astype(int) - after[k])
        # The ground between and beside the faces stays as it was.
        assert np.median(change) < 8
        assert (np.abs(after[k].astype(int) - yellow).max(-1) < 60).sum() > 50


def test_watch_writes_columns_for_a_video_without_faces(tmp_path: Path) -> None:
    path = save_video(tmp_path / "empty.mp4", (scene([]) for _ in range(10)), FPS)
    names = ("faces.csv", "faces.parquet", "plot.png", "seen.mp4")
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, Outputs(*(tmp_path / name for name in names[1:])))
        watch(str(path), client, Outputs(tmp_path / names[0]), every=1)
        assert not server.calls
    assert rows_of(tmp_path / "faces.parquet") == []
    assert (tmp_path / "faces.csv").read_text().startswith("time_s,frame,track,left,")
    assert len(frames_of(tmp_path / "seen.mp4")) == 10


def gone_after(calls: int) -> Any:
    """A server's behaviour: it fails from call number `calls` on."""

    def behave(number: int, context: Any) -> None:
        if number >= calls:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")

    return behave


def test_watch_keeps_results_when_the_server_fails(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.parquet", tmp_path / "a.png", tmp_path / "a.mp4")
    words = r"no memory; results until 0:0[12]: .*a\.mp4"
    with (
        fake_prediction_server(gone_after(6)) as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=words),
    ):
        watch(str(video), client, outputs, every=3)
    # Two calls are under way at once, and the later one may be the first that is answered.
    seen = [row["frame"] for row in rows_of(tmp_path / "a.parquet")][::2]
    assert seen in ([0, 3, 6, 9, 12], [0, 3, 6, 9, 12, 15])
    assert len(frames_of(tmp_path / "a.mp4")) == seen[-1] + 3
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert not left_over(tmp_path)


def test_watch_leaves_no_files_when_the_server_never_answers(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.parquet", tmp_path / "a.png", tmp_path / "a.mp4")
    with (
        fake_prediction_server(gone_after(0)) as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=r"no memory$"),
    ):
        watch(str(video), client, outputs)
    assert not list(tmp_path.iterdir())


def test_watch_keeps_results_of_a_video_cut_short(tmp_path: Path) -> None:
    whole = save_video(tmp_path / "whole.avi", two_people(6, FPS), FPS)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with fake_prediction_server() as server, Client(server.address) as client:
        words = r"cut\.avi: damaged, or cut short: ends after [23]\.\d s of the 6\.0 s"
        with pytest.raises(InputError, match=words):
            watch(str(cut), client, Outputs(tmp_path / "faces.parquet"), every=1)
    frames = {row["frame"] for row in rows_of(tmp_path / "faces.parquet")}
    assert frames == set(range(max(frames) + 1))
    assert 20 <= max(frames) < 40


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_recording_reads_or_rejects_damaged_videos(tmp_path: Path, suffix: str) -> None:
    data = save_video(tmp_path / f"whole{suffix}", two_people(1, FPS), FPS).read_bytes()
    rng = np.random.default_rng(1)
    path = tmp_path / f"damaged{suffix}"
    read, refusals = 0, []
    for _ in range(40):
        damaged = np.frombuffer(data, np.uint8).copy()
        # Most of what a reader trusts stands at the ends.
        places = rng.integers(0, [200, len(data)][rng.integers(2)], 8) * rng.choice([1, -1], 8)
        damaged[places] = rng.integers(0, 256, 8)
        path.write_bytes(damaged.tobytes())
        try:
            file = open_file(path)
            for frame in file.frames(1):
                assert frame.image.ndim == 3
                read += 1
            file.close()
        except InputError as failure:
            refusals.append(str(failure))
    assert read > 50
    assert refusals
    assert all(str(path) in reason for reason in refusals)


def not_videos(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Names of what cannot be watched, exit codes, and a word of why."""
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
    yield "97", 2, "there is no /dev/video97"
    yield "ftp://host/a.mp4", 2, "expected rtsp://"
    yield "/dev/null", 1, "cannot be opened"
    yield "rtsp://me:secret@127.0.0.1:9/a", 1, "rtsp://127.0.0.1:9/a: no video answers there"


def test_watch_rejects_what_is_not_a_video(tmp_path: Path) -> None:
    for name, code, words in not_videos(tmp_path):
        source = name if "/" in name or name.isdecimal() else str(tmp_path / name)
        with Client("127.0.0.1:9") as client, pytest.raises((InputError, Unavailable)) as failure:
            watch(source, client, Outputs(tmp_path / "faces.csv"))
        assert words in str(failure.value)
        assert failure.value.exit_code == code
        assert "secret" not in str(failure.value)
        assert not (tmp_path / "faces.csv").exists()
        assert not left_over(tmp_path)


def test_watch_command_fails_with_one_line(video: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video\n" * 500)
    (tmp_path / "folder.csv").mkdir()
    for arguments, code, words in (
        (("text.mp4",), 2, "text.mp4: no video that can be read"),
        ((str(video), "-o", "none/faces.csv"), 2, "there is no folder none"),
        ((str(video), "-o", "folder.csv"), 2, "this is a folder"),
        ((str(video), "--annotate", "seen.avi"), 2, ".mp4 or .webm"),
        ((str(video), "--annotate", str(video)), 2, "this is the source"),
        ((str(video), "-o", "faces.csv", "--server", "127.0.0.1:9"), 1, "no model server answers"),
    ):
        assert_refused(emotion_ai("watch", *arguments, cwd=tmp_path), code, words)
    assert not (tmp_path / "faces.csv").exists()
    assert not left_over(tmp_path)


def test_watch_names_the_missing_package(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    load_opencv.cache_clear()
    with Client("127.0.0.1:9") as client, pytest.raises(InputError, match=r"emotion-ai\[video\]"):
        watch(str(video), client)


def test_watch_rejects_a_file_that_another_process_writes(video: Path, tmp_path: Path) -> None:
    from emotion_ai.apps.watch.outputs import atomic_output

    path = tmp_path / "faces.csv"
    with Client("127.0.0.1:9") as client, atomic_output(path) as partial:
        partial.write_text("theirs")
        with pytest.raises(InputError, match="another process is writing it"):
            watch(str(video), client, Outputs(path))
    assert path.read_text() == "theirs"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_keeps_complete_results_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    video = save_video(tmp_path / "long.avi", two_people(60, FPS), FPS)

    def slowly(number: int, context: Any) -> None:
        time.sleep(0.05)

    with fake_prediction_server(slowly) as server:
        command = [
            sys.executable,
            "-m",
            "emotion_ai.pipeline.cli",
            "watch",
            str(video),
            "--every",
            "1",
        ]
        command += ["--server", server.address, "-o", "a.parquet"]
        command += ["--plot", "a.png", "--annotate", "a.mp4"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while len(server.calls) < 20:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            printed, error = process.communicate(timeout=60)
        asked = len(server.calls)
    assert process.returncode == 128 + number
    told, *last = error.splitlines()
    assert "written: a.parquet, a.png, a.mp4" in told
    assert last == (["emotion-ai: interrupted"] if number == signal.SIGINT else [])
    frames = [row["frame"] for row in rows_of(tmp_path / "a.parquet")]
    assert frames == [frame for frame in range(max(frames) + 1) for _ in range(2)]
    assert 10 < max(frames) <= asked
    assert len(frames_of(tmp_path / "a.mp4")) == max(frames) + 1
    assert json.loads(printed.splitlines()[0])["looks"] == max(frames) + 1
    assert not left_over(tmp_path)


def peak_mib(*arguments: str) -> float:
    """Of a run of the command that ends well: the largest resident set, by the kernel's count."""
    process = subprocess.Popen(
        [sys.executable, "-m", "emotion_ai.pipeline.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


def test_watch_memory_does_not_grow_with_time(tmp_path: Path) -> None:
    assert load_opencv()
    face = drawn_faces(7, 64)

    def seconds(count: int) -> Iterator[NDArray[np.uint8]]:
        for k in range(count):
            # Each half minute there is somebody new, after a while without anybody.
            yield scene([(face[k // 30 % 7], 4, 16)] if k % 30 < 24 else [], 128, 96)

    peaks = []
    with fake_prediction_server() as server:
        for name, count in (("minute", 60), ("hour", 3600)):
            video = save_video(tmp_path / f"{name}.avi", seconds(count), 1.0)
            outputs = ("-o", str(tmp_path / f"{name}.parquet"))
            outputs += ("--plot", str(tmp_path / f"{name}.png"))
            outputs += ("--annotate", str(tmp_path / f"{name}.mp4"))
            asked = ("--server", server.address, "--faces", "yunet:128", "--every", "2")
            peaks.append(peak_mib("watch", str(video), *asked, *outputs))
    rows = rows_of(tmp_path / "hour.parquet")
    assert len(rows) > 1300
    assert len({row["track"] for row in rows}) > 64
    minute, hour = peaks
    assert hour < minute + 40, peaks


@pytest.mark.parametrize("pages", [0, 2])
def test_watch_names_a_full_disk_and_leaves_no_files(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], pages: int
) -> None:
    with (
        mounted_disk(tmp_path / "disk") as disk,
        fake_prediction_server() as server,
        Client(server.address) as c,
    ):
        csv, rows, plot, mp4, webm = (
            disk / f"a.{end}" for end in ("csv", "parquet", "png", "mp4", "webm")
        )
        for outputs in (
            *(Outputs(path) for path in (csv, rows)),
            *(Outputs(video=path) for path in (mp4, webm)),
            Outputs(plot=plot),
        ):
            fill_disk(disk, pages)
            with pytest.raises(Unavailable, match=f"^{outputs}: "):
                watch(str(video), c, outputs, every=4)
            assert [path.name for path in disk.iterdir()] == ["filler"]
    assert capfd.readouterr().err == ""
