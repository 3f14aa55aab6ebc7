"""People in a video: their means, and what differs from their baselines."""

import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from emotion_ai.apps.watch.command import Outputs, watch
from emotion_ai.apps.watch.episodes import EpisodeFinder
from emotion_ai.apps.watch.event_store import open_event_store
from emotion_ai.apps.watch.people import Baseline, People, read_baseline, write_people
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError

from support.fake_prediction_server import fake_prediction_server
from support.watched_faces import results

PURPOSE = "study <12> --> b"


def people(baseline: Baseline, happiness: Iterable[Sequence[float | None]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    summed = People(baseline, lambda row, usual: rows.append(row))
    for result in results(happiness):
        summed.add(result)
    summed.end()
    return rows


def test_a_person_has_means_and_what_differs_from_its_baseline() -> None:
    happiness = [[None, 0.5]] * 2 + [[0.2, 0.5], [0.2, 0.5], [0.4, 0.5], [0.9, 0.5], [0.9, 0.5]]
    first, second = people(Baseline(None, 0.3), happiness)
    assert (first["track"], first["from_s"], first["to_s"]) == (1, 0.2, 0.6)
    assert (first["looks"], first["baseline_looks"]) == (5, 3)
    assert first["mean_probability_happy"] == pytest.approx(0.52)
    assert first["baseline_probability_happy"] == pytest.approx(0.2)
    assert first["change_probability_happy"] == pytest.approx(0.32)
    assert first["baseline_valence"] == pytest.approx(-0.6)
    # Its keypoints are on a line: no pose.
    assert "mean_yaw" not in first
    assert second["change_valence"] == 0
    span = people(Baseline(0.5, 0.2), happiness)
    assert [row["baseline_probability_happy"] for row in span] == [0.9, 0.5]
    assert "baseline_valence" not in people(Baseline(30.0, 5.0), happiness)[0]


def test_a_change_that_is_rounded_to_zero_has_no_sign() -> None:
    (row,) = people(Baseline(None, 0.2), [[0.5], [0.5], [0.49999]])
    assert str(row["change_probability_happy"]) == "0.0"


def test_people_who_left_are_passed_on() -> None:
    rows: list[dict[str, Any]] = []
    summed = People(Baseline(), lambda row, usual: rows.append(row))
    for result in results([[0.5]] * 10 + [[None]] * 150):
        summed.add(result)
    assert [row["to_s"] for row in rows] == [0.9]


def test_columns_of_people_do_not_depend_on_what_a_video_shows(tmp_path: Path) -> None:
    headers = []
    # A face that shows an emotion, one that shows none, and one that comes after the baseline.
    for looks in ([[0.9]] * 10, [[0.1]] * 10, [[None]] * 60 + [[0.9]] * 10):
        with open_event_store() as store:
            finder = EpisodeFinder(store.add)
            people = People(Baseline(0.0, 5.0), lambda row, _, keep=store.add_person: keep(row))
            for result in results(looks):
                finder.add(result)
                people.add(result)
            finder.end()
            people.end()
            write_people(tmp_path / "p.csv", store.people, {})
        with (tmp_path / "p.csv").open() as file:
            (row,) = csv.DictReader(file)
        headers.append(list(row))
    assert "episodes_happy" in headers[0]
    assert "change_yaw" in headers[0]
    assert headers[1:] == headers[:1] * 2


@pytest.mark.parametrize("text", ["5", "0.5", " 10-20 ", "0-60"])
def test_a_baseline_is_a_length_or_a_span(text: str) -> None:
    first, _, last = text.strip().partition("-")
    expected = Baseline(float(first), float(last) - float(first)) if last else (None, float(first))
    assert read_baseline(text) == expected


@pytest.mark.parametrize("text", ["", "0", "five", "-5", "20-10", "0-61", "1-2-3", "nan"])
def test_other_baselines_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^baseline '"):
        read_baseline(text)


def test_a_timeline_has_the_changes_from_each_face_s_baseline(video: Path, tmp_path: Path) -> None:
    shown = itertools.cycle([0.2, 0.9, 0.5, 0.6])

    def brighten(outputs: dict[str, Any]) -> None:
        happy = next(shown)
        outputs["emotion_probabilities"][:] = [happy, 1 - happy]

    baseline = Baseline(0.0, 2.0)
    with fake_prediction_server(alter=brighten) as server, Client(server.address) as client:
        for name in ("t.csv", "t.parquet"):
            outputs = Outputs(tmp_path / name, baseline=baseline, about={"purpose": PURPOSE})
            watch(str(video), client, outputs, every=10)
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == 12
    for track in (1, 2):
        mine = [row for row in rows if row["track"] == track]
        usual = np.median([row["probability_happy"] for row in mine if row["time_s"] < 2])
        for row in mine:
            change = row["probability_happy"] - usual
            assert row["change_probability_happy"] == pytest.approx(change, abs=1e-3)
    assert len({row["change_probability_happy"] for row in rows}) > 2
    assert {row["purpose"] for row in rows} == {PURPOSE}
    with (tmp_path / "t.csv").open() as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(rows[0])
    # The keypoints of the fake server are no face's: there is no pose to compare.
    assert {row["change_yaw"] for row in rows} == {None}
