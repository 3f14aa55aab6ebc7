"""`emotion-ai watch` on generated videos of drawn faces, with a fake model server."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import open_file
from emotion_ai.client.client import Client
from emotion_ai.client.panels import COLOURS

from support.fake_prediction_server import fake_prediction_server
from support.videos import FPS, drawn_faces, partial_outputs, save_video, scene
from support.watch_outputs import read_frames, read_rows


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
