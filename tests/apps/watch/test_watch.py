"""`emotion-ai watch` on generated videos of drawn faces, with a fake model server."""

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
from emotion_ai.apps.watch.frames import every_nth, open_file
from emotion_ai.apps.watch.opencv import load_opencv
from emotion_ai.client.client import Client
from emotion_ai.client.panels import COLOURS
from emotion_ai.errors import InputError, Unavailable

from support.fake_prediction_server import fake_prediction_server
from support.small_disk import fill_disk, mounted_disk
from support.videos import FPS, drawn_faces, partial_outputs, save_video, scene, two_people


def read_rows(path: Path) -> list[dict[str, Any]]:
    return parquet.read_table(path).to_pylist()


def read_frames(path: Path) -> list[NDArray[np.uint8]]:
    file = open_file(path)
    return [frame.image for frame in file.frames(every_nth(1))]


def test_timeline_has_a_row_for_each_face_and_frame(video: Path, tmp_path: Path) -> None:
    with fake_prediction_server() as server, Client(server.address) as client:
        for name in ("faces.csv", "faces.parquet"):
            watch(str(video), client, Outputs(tmp_path / name), every=3)
    rows = read_rows(tmp_path / "faces.parquet")
    assert [(row["frame"], row["track"]) for row in rows] == [
        (frame, track) for frame in range(0, 60, 3) for track in (1, 2)
    ]
    for row in rows:
        assert row["time_s"] == pytest.approx(row["frame"] / FPS, abs=0.002)
        # The moving face stays on the left.
        assert (row["left"] > 150) == (rows[row["track"] - 1]["left"] > 150)
        assert row["top"] <= row["nose_tip_y"] <= row["top"] + row["height"]
        predicted = (row["emotion"], row["probability_happy"], row["probability_sad"])
        assert predicted == ("happy", 0.75, 0.25)
        assert row["model_version"] == 7
    with (tmp_path / "faces.csv").open() as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(rows[0])
    without_latency = [{k: v for k, v in row.items() if k != "latency_ms"} for row in rows]
    assert [
        # The fake server's keypoints are no face's, so there is no pose.
        {k: type(expected[k])(row[k]) if row[k] else None for k in expected}
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
    minutes = [json.loads(line) for line in printed.out.splitlines()]
    assert minutes == [
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
    assert "13 of 130 frames analysed; 1 face tracked" in printed.err


def test_minutes_and_plots_state_the_declared_purpose(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"purpose": "study 12"}
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(plot=tmp_path / "p.png", about=about), every=30)
    lines = capsys.readouterr().out.splitlines()
    assert {json.loads(line)["purpose"] for line in lines} == {"study 12"}
    assert Image.open(tmp_path / "p.png").info["Description"] == "purpose: study 12"


@pytest.mark.parametrize(
    ("suffix", "stated"),
    [(".mp4", b"purpose: study &lt;12&gt;<"), (".webm", b"purpose: study <12>")],
)
def test_an_annotated_video_states_the_declared_purpose_and_is_whole(
    video: Path, tmp_path: Path, suffix: str, stated: bytes
) -> None:
    target = tmp_path / f"seen{suffix}"
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(video=target, about={"purpose": "study <12>"}), every=30)
    content = target.read_bytes()
    assert content.count(stated) == 1
    assert len(read_frames(target)) == 60
    if suffix == ".webm":
        # Its index, by which players find it, says where it is: from the segment's content on.
        start = content.index(bytes.fromhex("18538067")) + 12
        place = (
            content.index(bytes.fromhex("53ab01000000000000041254c36753ac0100000000000008")) + 24
        )
        tags = start + int.from_bytes(content[place : place + 8], "big")
        assert content[tags : tags + 4] == bytes.fromhex("1254c367")


@pytest.mark.parametrize(("purpose", "shown"), [("", True), ("study 12", False)])
def test_a_notice_is_shown_at_a_terminal_until_a_purpose_is_declared(
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    purpose: str,
    shown: bool,
) -> None:
    about = {"purpose": purpose} if purpose else {}
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(about=about), every=30)
        assert "AI Act" not in capsys.readouterr().err
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        watch(str(video), client, Outputs(about=about), every=30)
    printed = capsys.readouterr()
    assert ("prohibited" in printed.err) == shown
    assert all(json.loads(line) for line in printed.out.splitlines())


def test_watch_keeps_a_track_over_a_short_absence_only(tmp_path: Path) -> None:
    face = drawn_faces(1, 96)[0]
    away = [*range(20, 30), *range(50, 90)]
    frames = (scene([] if k in away else [(face, 50 + k, 50)]) for k in range(100))
    path = save_video(tmp_path / "away.mp4", frames, FPS)
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, Outputs(tmp_path / "faces.parquet"), every=2)
    tracks = {row["frame"]: row["track"] for row in read_rows(tmp_path / "faces.parquet")}
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
    assert not partial_outputs(tmp_path)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_annotated_video_is_the_video_with_boxes(video: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"seen{suffix}"
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(video=target), every=4)
    before, after = read_frames(video), read_frames(target)
    assert (len(after), open_file(target).fps) == (60, FPS)
    for k in (0, 30, 59):
        change = np.abs(before[k].astype(int) - after[k])
        # The background is unchanged.
        assert np.median(change) < 8
        # The fake server's keypoints are no face's: boxes are white.
        assert (after[k].min(-1) > 200).sum() > (before[k].min(-1) > 200).sum() + 50


def test_watch_writes_columns_for_a_video_without_faces(tmp_path: Path) -> None:
    path = save_video(tmp_path / "empty.mp4", (scene([]) for _ in range(10)), FPS)
    names = ("faces.csv", "faces.parquet", "plot.png", "seen.mp4")
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, Outputs(*(tmp_path / name for name in names[1:])))
        watch(str(path), client, Outputs(tmp_path / names[0]), every=1)
        assert not server.calls
    assert read_rows(tmp_path / "faces.parquet") == []
    assert (tmp_path / "faces.csv").read_text().startswith("time_s,frame,track,left,")
    assert len(read_frames(tmp_path / "seen.mp4")) == 10


def fail_after(calls: int) -> Any:
    """Make a server fail from call number `calls` on."""

    def on_call(number: int, context: Any) -> None:
        if number >= calls:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")

    return on_call


def test_watch_keeps_results_when_the_server_fails(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.parquet", tmp_path / "a.png", tmp_path / "a.mp4")
    message = r"no memory; results until 0:0[12]: .*a\.mp4"
    with (
        fake_prediction_server(fail_after(6)) as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=message),
    ):
        watch(str(video), client, outputs, every=3)
    # Two calls are in flight at once, and the later one may be answered first.
    analysed = [row["frame"] for row in read_rows(tmp_path / "a.parquet")][::2]
    assert analysed in ([0, 3, 6, 9, 12], [0, 3, 6, 9, 12, 15])
    assert len(read_frames(tmp_path / "a.mp4")) == analysed[-1] + 3
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert not partial_outputs(tmp_path)


def test_watch_leaves_no_files_when_the_server_never_answers(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.parquet", tmp_path / "a.png", tmp_path / "a.mp4")
    with (
        fake_prediction_server(fail_after(0)) as server,
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
        message = r"cut\.avi: damaged, or cut short: ends after [23]\.\d s of the 6\.0 s"
        with pytest.raises(InputError, match=message):
            watch(str(cut), client, Outputs(tmp_path / "faces.parquet"), every=1)
    frames = {row["frame"] for row in read_rows(tmp_path / "faces.parquet")}
    assert frames == set(range(max(frames) + 1))
    assert 20 <= max(frames) < 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watch_keeps_complete_results_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    video = save_video(tmp_path / "long.avi", two_people(60, FPS), FPS)

    def wait(number: int, context: Any) -> None:
        time.sleep(0.05)

    with fake_prediction_server(wait) as server:
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
        calls = len(server.calls)
    assert process.returncode == 128 + number
    report, *last = error.splitlines()
    assert "written: a.parquet, a.png, a.mp4" in report
    assert last == (["emotion-ai: interrupted"] if number == signal.SIGINT else [])
    frames = [row["frame"] for row in read_rows(tmp_path / "a.parquet")]
    assert frames == [frame for frame in range(max(frames) + 1) for _ in range(2)]
    assert 10 < max(frames) <= calls
    assert len(read_frames(tmp_path / "a.mp4")) == max(frames) + 1
    assert json.loads(printed.splitlines()[0])["looks"] == max(frames) + 1
    assert not partial_outputs(tmp_path)


def peak_mib(*arguments: str) -> float:
    """Run the command, and return its largest resident set in MiB, as the kernel counts it."""
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
            # Every half minute another face appears, after a while without faces.
            yield scene([(face[k // 30 % 7], 4, 16)] if k % 30 < 24 else [], 128, 96)

    peaks = []
    with fake_prediction_server() as server:
        for name, count in (("minute", 60), ("hour", 3600)):
            video = save_video(tmp_path / f"{name}.avi", seconds(count), 1.0)
            outputs = ("-o", str(tmp_path / f"{name}.parquet"))
            outputs += ("--plot", str(tmp_path / f"{name}.png"))
            outputs += ("--annotate", str(tmp_path / f"{name}.mp4"))
            outputs += ("--events", str(tmp_path / f"{name}.eaf"))
            outputs += ("--people", str(tmp_path / f"{name}-people.parquet"))
            options = ("--server", server.address, "--faces", "yunet:128", "--every", "2")
            peaks.append(peak_mib("watch", str(video), *options, *outputs))
    rows = read_rows(tmp_path / "hour.parquet")
    assert len(rows) > 1300
    assert len({row["track"] for row in rows}) > 64
    assert len(read_rows(tmp_path / "hour-people.parquet")) > 64
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
