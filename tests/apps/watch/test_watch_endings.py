"""When `watch` ends early: results until then are kept, whole, and no other files are left."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable

from support.fake_prediction_server import fake_prediction_server
from support.small_disk import fill_disk, mounted_disk
from support.videos import FPS, partial_outputs, save_video, two_people
from support.watch_outputs import read_frames, read_rows


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
