"""Recordings are read by the times of their frames, and frames that are missing are noticed."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.frames import Choice, every_nth, open_file, per_second
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError

from support.fake_prediction_server import fake_prediction_server
from support.videos import drawn_faces, save_video, scene
from support.webm_times import set_times

# Milliseconds between the frames of a browser's recording.
BROWSER_STEPS = (30, 31, 37, 35, 29, 38, 33)


def moving_faces(count: int) -> Iterator[NDArray[np.uint8]]:
    """Draw frames that differ, with a face in each."""
    face = drawn_faces(1, 120)[0]
    for number in range(count):
        yield scene([(face, 20 + number % 150, 60)])


def times_read(path: Path, choose: Choice) -> list[float]:
    file = open_file(path)
    try:
        return [frame.time_s for frame in file.frames(choose)]
    finally:
        file.close()


def first_in_each_fifth(times_s: list[float]) -> list[float]:
    """Of some times, those that begin a fifth of a second."""
    parts = [round(time_s * 1000 + 1) // 200 for time_s in times_s]
    return [t for k, t in enumerate(times_s) if not k or parts[k] > parts[k - 1]]


def variable_times() -> list[int]:
    """Frames every 33 ms, then one a second, a pause of three seconds, and every 33 ms again."""
    steps = [33] * 60 + [1000] * 6 + [3000] + [33] * 60
    return [0, *accumulate(steps)]


def test_watch_looks_five_times_a_second_at_a_browsers_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [BROWSER_STEPS[(k * 7 + k // 3) % 7] for k in range(149)]
    times = [0, *accumulate(steps)]
    path = save_video(tmp_path / "recorded.webm", moving_faces(150), 25.0)
    set_times(path, times, as_browsers=True)
    assert times_read(path, every_nth(1)) == pytest.approx([t / 1000 for t in times])
    expected = first_in_each_fifth([t / 1000 for t in times])
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(path), client, Outputs(tmp_path / "faces.csv"))
    rows = (tmp_path / "faces.csv").read_text().splitlines()[1:]
    assert [float(row.split(",")[0]) for row in rows] == pytest.approx(expected)
    assert len(expected) == 25
    assert "25 of 150 frames analysed" in capsys.readouterr().err


def test_frames_are_chosen_by_time_where_the_rate_varies(tmp_path: Path) -> None:
    times = variable_times()
    path = save_video(tmp_path / "variable.webm", moving_faces(len(times)), 30.0)
    set_times(path, times)
    seconds = [t / 1000 for t in times]
    # A pause in which nothing moved is no damage.
    assert times_read(path, every_nth(1)) == pytest.approx(seconds)
    expected = first_in_each_fifth(seconds)
    assert times_read(path, per_second(5)) == pytest.approx(expected)
    assert set(seconds[61:68]) <= set(expected)


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    path = save_video(tmp_path / "later.webm", moving_faces(40), 25.0)
    set_times(path, [5000 + 40 * k for k in range(40)], as_browsers=True)
    assert times_read(path, every_nth(1)) == pytest.approx([0.04 * k for k in range(40)])


def test_times_go_on_where_a_second_part_begins_anew(tmp_path: Path) -> None:
    part = save_video(tmp_path / "part.ts", moving_faces(40), 25.0).read_bytes()
    (tmp_path / "two.ts").write_bytes(part + part)
    times = times_read(tmp_path / "two.ts", every_nth(1))
    assert times == pytest.approx([0.04 * k for k in range(80)])


def test_a_pause_in_a_gif_is_no_hole(tmp_path: Path) -> None:
    first, *others = (Image.fromarray(frame) for frame in moving_faces(40))
    path, durations = tmp_path / "pause.gif", [100] * 20 + [2000] + [100] * 19
    first.save(path, save_all=True, append_images=others, duration=durations)
    expected = [0, *accumulate(durations[:-1])]
    assert times_read(path, every_nth(1)) == pytest.approx([t / 1000 for t in expected])


@pytest.mark.parametrize("fps", [1.0, 8.0, 10.0, 24.0, 25.0, 29.97, 60.0])
def test_five_frames_a_second_are_chosen_at_every_rate(fps: float) -> None:
    choose = per_second(5)
    chosen = [k for k in range(round(12 * fps)) if choose(k, round(1000 * k / fps) / 1000)]
    assert len(chosen) == 12 * min(5, fps)
    assert max(np.diff(chosen)) <= max(1.0, fps / 5 + 1)


@pytest.mark.parametrize("filler", ["zeros", "noise"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv", ".ts", ".mpg", ".flv", ".wmv"])
def test_a_hole_in_the_middle_is_an_error_and_the_rest_is_read(
    tmp_path: Path, suffix: str, filler: str
) -> None:
    whole = save_video(tmp_path / f"whole{suffix}", moving_faces(200), 25.0)
    assert times_read(whole, per_second(5)) == pytest.approx(np.arange(40) / 5)
    data = bytearray(whole.read_bytes())
    first, last = len(data) * 4 // 10, len(data) * 6 // 10
    noise = np.random.default_rng(1).integers(0, 256, last - first, np.uint8).tobytes()
    data[first:last] = bytes(last - first) if filler == "zeros" else noise
    damaged = tmp_path / f"damaged{suffix}"
    damaged.write_bytes(data)
    read: list[float] = []
    file = open_file(damaged)
    message = rf"damaged{suffix}: damaged: .* from [23]\.\d s to [45]\.\d s"
    with pytest.raises(InputError, match=message):
        read.extend(frame.time_s for frame in file.frames(per_second(5)))
    # At its own time.
    assert read[-1] == pytest.approx(7.8, abs=0.2)
    assert 20 < len(read) < 38


def test_watch_keeps_results_around_a_hole_and_fails(tmp_path: Path) -> None:
    path = save_video(tmp_path / "damaged.webm", moving_faces(200), 25.0)
    data = bytearray(path.read_bytes())
    data[len(data) * 4 // 10 : len(data) * 6 // 10] = bytes(len(data) * 2 // 10)
    path.write_bytes(data)
    message = r"damaged\.webm: damaged: frames are missing; .* s; results until 0:08: .*faces\.csv"
    with (
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(InputError, match=message),
    ):
        watch(str(path), client, Outputs(tmp_path / "faces.csv"))
    rows = (tmp_path / "faces.csv").read_text().splitlines()[1:]
    assert float(rows[-1].split(",")[0]) > 7


def test_a_recording_of_a_browser_that_was_cut_off_is_read(tmp_path: Path) -> None:
    path = save_video(tmp_path / "cut.webm", moving_faces(100), 25.0)
    set_times(path, [40 * k for k in range(100)], as_browsers=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    # Nothing says how long it was.
    assert 5 < len(times_read(path, per_second(5))) < 20
