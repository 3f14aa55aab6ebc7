"""The memory of `watch` over an hour of video."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_ai.apps.watch.opencv import load_opencv

from support.fake_prediction_server import fake_prediction_server
from support.videos import drawn_faces, save_video, scene
from support.watch_outputs import read_rows


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
