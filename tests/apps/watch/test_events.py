"""The files of `watch --events` and `--people`, as their real readers see them."""

import csv
import html
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
import webvtt
from pyarrow import parquet
from pympi import Elan

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.study import Study
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError, Unavailable

from support.fake_prediction_server import fake_prediction_server
from support.small_disk import fill_disk, mounted_disk
from support.videos import FPS, drawn_faces, partial_outputs, save_video, scene

# The names of the files that one command writes.
NAMES = ("e.csv", "e.parquet", "e.eaf", "e.vtt", "e.boris")
PURPOSE = "study <12> --> b"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a video of six seconds, in which a face is away from 2 s to 4 s."""
    folder = tmp_path_factory.mktemp("events")
    drawn = drawn_faces(1, 96)[0]
    frames = (scene([] if 20 <= k < 40 else [(drawn, 60, 60)]) for k in range(60))
    (folder / "out").mkdir()
    video = save_video(folder / "a & b.mp4", frames, FPS)
    study = Study(tuple(folder / "out" / name for name in NAMES), folder / "out" / "people.csv")
    with fake_prediction_server() as server, Client(server.address) as client:
        outputs = Outputs(folder / "out" / "t.csv", study=study, about={"purpose": PURPOSE})
        watch(str(video), client, outputs, every=2)
    assert not partial_outputs(folder / "out")
    return folder / "out"


def test_events_are_rows_of_csv_and_parquet(written: Path) -> None:
    rows = parquet.read_table(written / "e.parquet").to_pylist()
    assert [(row["kind"], row["track"], row["onset_s"], row["offset_s"]) for row in rows] == [
        ("emotion", 1, 0.0, 1.8),
        ("no face", None, 2.0, 4.0),
        ("emotion", 2, 4.0, 5.8),
    ]
    first = rows[0]
    assert (first["emotion"], first["looks"], first["apex_s"]) == ("happy", 10, 0.0)
    assert (first["peak"], first["baseline"], first["change"]) == (0.75, 0.75, 0.0)
    with (written / "e.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [row["emotion"] for row in read] == ["happy", "", "happy"]
    assert [row["duration_s"] for row in read] == ["1.8", "2.0", "1.8"]


def test_elan_reads_a_tier_for_each_face_and_one_for_gaps(written: Path) -> None:
    document = Elan.Eaf(str(written / "e.eaf"))
    tiers = {name: document.get_annotation_data_for_tier(name) for name in document.tiers}
    assert tiers["no face"] == [(2000, 4000, "no face")]
    faces = [spans for name, spans in tiers.items() if name != "no face"]
    assert sorted(span for spans in faces for span in spans) == [
        (0, 1800, "happy"),
        (4000, 5800, "happy"),
    ]
    (media,) = document.media_descriptors
    assert media["RELATIVE_MEDIA_URL"] == "../a & b.mp4"
    assert document.timeslots.keys() == {f"ts{k}" for k in range(1, 7)}


def test_webvtt_reads_a_cue_for_each_event(written: Path) -> None:
    cues = [(cue.start, cue.end, cue.text) for cue in webvtt.read(str(written / "e.vtt"))]
    assert [cue[:2] for cue in cues] == [
        ("00:00:00.000", "00:00:01.800"),
        ("00:00:02.000", "00:00:04.000"),
        ("00:00:04.000", "00:00:05.800"),
    ]
    assert [cue[2] for cue in cues][:2] == ["face 1: happy 75%", "no face"]


def test_boris_project_has_starts_and_stops_in_pairs(written: Path) -> None:
    project = json.loads((written / "e.boris").read_text())
    observation = project["observations"]["e"]
    codes = {behavior["code"] for behavior in project["behaviors_conf"].values()}
    subjects = {subject["name"] for subject in project["subjects_conf"].values()}
    events = observation["events"]
    assert {event[2] for event in events} == codes == {"happy", "no face"}
    assert {event[1] for event in events} == subjects | {""}
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    for subject in subjects | {""}:
        assert sum(event[1] == subject for event in events) % 2 == 0
    assert observation["file"]["1"] == ["../a & b.mp4"]
    assert observation["media_info"]["fps"] == {"../a & b.mp4": FPS}


@pytest.mark.parametrize(("every", "duration"), [(1, None), (7, None), (None, None), (None, 2.0)])
def test_boris_reads_the_length_of_the_whole_video(
    video: Path, tmp_path: Path, every: int | None, duration: float | None
) -> None:
    outputs = Outputs(study=Study((tmp_path / "e.boris",)))
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, outputs, every, duration)
    project = json.loads((tmp_path / "e.boris").read_text())
    (length,) = project["observations"]["e"]["media_info"]["length"].values()
    # Of 60 frames.
    assert length == 6.0


def test_people_are_rows(written: Path) -> None:
    with (written / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["looks"]) for row in rows) == 20
    for row in rows:
        assert float(row["mean_valence"]) == pytest.approx(0.5)
        assert float(row["change_probability_happy"]) == 0
        assert (row["episodes_happy"], row["seconds_happy"]) == ("1", "1.8")
        # Pose and measures of the answered keypoints, where they are a face's.
        assert row["baseline_looks"] != "0"


def test_every_output_states_the_declared_purpose(written: Path) -> None:
    for name in ("t.csv", "e.csv", "people.csv"):
        with (written / name).open() as file:
            rows = list(csv.DictReader(file))
        assert {row["purpose"] for row in rows} == {PURPOSE}
        assert list(rows[0])[-1] == "purpose"
    assert parquet.read_table(written / "e.parquet")["purpose"].to_pylist() == [PURPOSE] * 3
    assert Elan.Eaf(str(written / "e.eaf")).properties == [("purpose", PURPOSE)]
    notes = (written / "e.vtt").read_text().split("\n\n")[1]
    assert html.unescape(notes) == f"NOTE purpose: {PURPOSE}"
    project = json.loads((written / "e.boris").read_text())
    assert project["observations"]["e"]["description"] == PURPOSE


def test_words_of_a_foreign_server_stay_words(video: Path, tmp_path: Path) -> None:
    name = "=a<b>&-->\n\n\x1b[31m\ufffe"

    def rename(outputs: dict[str, Any]) -> None:
        outputs["emotion_labels"][:, 0] = name.encode()
        outputs["emotion"][:] = name.encode()

    study = Study(tuple(tmp_path / each for each in NAMES), tmp_path / "p.parquet")
    with fake_prediction_server(alter=rename) as server, Client(server.address) as client:
        watch(str(video), client, Outputs(study=study), every=5)
    shown = "=a<b>&-->\ufffd\ufffd\ufffd[31m\ufffe"
    document = Elan.Eaf(str(tmp_path / "e.eaf"))
    (span,) = document.get_annotation_data_for_tier("face 1")
    assert span[2] == shown.replace("\ufffe", "\ufffd")
    cues = [html.unescape(cue.raw_text) for cue in webvtt.read(str(tmp_path / "e.vtt"))]
    assert cues == [f"face {k}: {shown} 75%" for k in (1, 2)]
    project = json.loads((tmp_path / "e.boris").read_text())
    assert {event[2] for event in project["observations"]["e"]["events"]} == {shown}
    with (tmp_path / "e.csv").open(newline="") as file:
        emotions = {row["emotion"] for row in csv.DictReader(file)}
    assert emotions == {"'=a<b>&-->\n\n\ufffd[31m\ufffe"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".eaf", ".vtt", ".boris"])
def test_a_video_without_faces_is_one_gap(tmp_path: Path, suffix: str) -> None:
    video = save_video(tmp_path / "none.mp4", (scene([]) for _ in range(20)), FPS)
    target = tmp_path / f"events{suffix}"
    with fake_prediction_server() as server, Client(server.address) as client:
        watch(str(video), client, Outputs(study=Study((target,), tmp_path / "p.csv")), every=5)
    assert "no face" in target.read_bytes().decode(errors="replace")
    assert (tmp_path / "p.csv").read_text().startswith("track,from_s,")


@pytest.mark.parametrize("name", [*NAMES, "people.csv", "people.parquet"])
def test_a_full_disk_is_named_and_leaves_no_files(
    video: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    with (
        mounted_disk(tmp_path / "disk") as disk,
        fake_prediction_server() as server,
        Client(server.address) as client,
    ):
        target = disk / name
        study = Study((), target) if "people" in name else Study((target,))
        fill_disk(disk, 0)
        with pytest.raises(Unavailable, match=f"^{target}: "):
            watch(str(video), client, Outputs(study=study), every=4)
        assert [path.name for path in disk.iterdir()] == ["filler"]
    assert capfd.readouterr().err == ""


def test_events_are_kept_when_the_server_fails(video: Path, tmp_path: Path) -> None:
    def fail(number: int, context: Any) -> None:
        if number >= 6:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no memory")

    study = Study((tmp_path / "e.vtt",), tmp_path / "p.csv")
    with (
        fake_prediction_server(fail) as server,
        Client(server.address) as client,
        pytest.raises(Unavailable, match=r"no memory; results until .*e\.vtt, .*p\.csv$"),
    ):
        watch(str(video), client, Outputs(study=study), every=3)
    assert {cue.start for cue in webvtt.read(str(tmp_path / "e.vtt"))} == {"00:00:00.000"}
    assert not partial_outputs(tmp_path)


@pytest.mark.parametrize("name", ["events.txt", "events", "events.mp4"])
def test_other_formats_of_events_are_refused(video: Path, tmp_path: Path, name: str) -> None:
    with (
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(InputError, match=r"\.csv or \.parquet or \.eaf or \.vtt or \.boris"),
    ):
        watch(str(video), client, Outputs(study=Study((tmp_path / name,))))
    assert not list(tmp_path.iterdir())


def test_a_name_for_two_outputs_is_refused(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "a.csv", study=Study((), tmp_path / "a.csv"))
    with (
        fake_prediction_server() as server,
        Client(server.address) as client,
        pytest.raises(InputError, match="two outputs have this name"),
    ):
        watch(str(video), client, outputs)
