"""Watch live sources: the newest frame is analysed, and older ones are dropped."""

import functools
import http.server
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import open_file
from emotion_ai.client.client import Client
from emotion_ai.errors import Unavailable

from support.fake_prediction_server import fake_prediction_server
from support.videos import drawn_faces, save_video, scene, serve_stream, two_people

FPS = 50.0
# Frames; more than a busy machine delays, far fewer than a queue would.
MAX_LAG = 60


@pytest.fixture(autouse=True)
def _bypass_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    # FFmpeg would use the machine's proxy.
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class QuietFileHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder, without a log."""

    def log_message(self, *_: object) -> None:
        """Discard the message."""


class Camera:
    """An endless stream of a face, which counts its frames."""

    def __init__(self) -> None:
        self.sent = 0
        self._frame = scene([(drawn_faces(1, 96)[0], 40, 40)], 200, 160)

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames."""
        for self.sent in itertools.count(1):
            yield self._frame


def test_watch_skips_to_the_newest_frame_of_a_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    camera, sent_before = Camera(), []

    def wait(number: int, context: Any) -> None:
        sent_before.append(camera.sent)
        time.sleep(0.3)

    outputs = Outputs(tmp_path / "faces.parquet", video=tmp_path / "seen.mp4")
    with (
        serve_stream(camera.frames, FPS) as (address, _),
        fake_prediction_server(wait) as server,
        Client(server.address, faces="yunet:200") as client,
    ):
        watch(address, client, outputs, duration=4.0)
    frames = parquet.read_table(tmp_path / "faces.parquet")["frame"].to_pylist()
    assert len(frames) == len(sent_before)
    assert 3 < len(frames) < 20
    # Fifteen frames arrive during a request: a queue would lag by so many more each time.
    lags = [sent - frame for sent, frame in zip(sent_before, frames, strict=True)]
    assert max(lags[1:]) < MAX_LAG, lags
    report = capsys.readouterr().err
    assert f"{len(frames)} of " in report
    dropped = int(report.split(" frames dropped")[0].split("; ")[-1])
    assert 0 <= dropped - (frames[-1] + 1 - len(frames)) < MAX_LAG
    # The video lasts as long as the stream was watched.
    annotated = open_file(tmp_path / "seen.mp4")
    assert annotated.duration_s == pytest.approx(frames[-1] / FPS, abs=1.0)


def test_watch_analyses_every_nth_frame_of_a_stream(tmp_path: Path) -> None:
    with (
        serve_stream(Camera().frames, FPS) as (address, _),
        fake_prediction_server() as server,
        Client(server.address, faces="yunet:200") as client,
    ):
        watch(address, client, Outputs(tmp_path / "faces.parquet"), every=20, duration=2.0)
    frames = parquet.read_table(tmp_path / "faces.parquet")["frame"].to_pylist()
    assert frames
    assert {frame % 20 for frame in frames} == {0}


def test_watch_reads_all_of_a_recording_at_an_address(tmp_path: Path) -> None:
    save_video(tmp_path / "clip.avi", two_people(2, 10), 10)
    handler = functools.partial(QuietFileHandler, directory=str(tmp_path))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web,
        fake_prediction_server() as server,
        Client(server.address) as client,
    ):
        threading.Thread(target=web.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{web.server_port}/clip.avi"
        watch(address, client, Outputs(tmp_path / "faces.parquet"), every=1)
        web.shutdown()
    rows = parquet.read_table(tmp_path / "faces.parquet").to_pylist()
    assert sorted({row["frame"] for row in rows}) == list(range(20))
    assert rows[-1]["time_s"] == pytest.approx(1.9, abs=0.01)


def test_watch_keeps_results_of_a_stream_that_ends(tmp_path: Path) -> None:
    def short() -> Iterator[NDArray[np.uint8]]:
        return two_people(2, 20)

    message = r"/stream: sends no more frames, after \d\.\d s; results until 0:0\d: .*csv"
    with (
        serve_stream(short, 20) as (address, _),
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=message),
    ):
        watch(address, client, Outputs(tmp_path / "faces.csv"))
    assert len((tmp_path / "faces.csv").read_text().splitlines()) > 2


def test_watch_stops_a_stream_at_ctrl_c_and_reports_dropped_frames(tmp_path: Path) -> None:
    with serve_stream(Camera().frames, FPS) as (address, _), fake_prediction_server() as server:
        command = [
            sys.executable,
            "-m",
            "emotion_ai.pipeline.cli",
            "watch",
            address,
            "-o",
            "faces.csv",
        ]
        command += ["--server", server.address, "--faces", "yunet:200"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            while len(server.calls) < 5:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    report, last = error.splitlines()
    assert "frames dropped for newer ones; written: faces.csv" in report
    assert last == "emotion-ai: interrupted"
    assert len((tmp_path / "faces.csv").read_text().splitlines()) >= 5
