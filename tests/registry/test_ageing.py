"""Tests of `registry.ageing`: what is old goes, what a release or a running run needs stays."""

import os
import time
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.ageing import UNFINISHED_DAYS, remove_old_checkpoints, remove_old_runs
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish, retain
from emotion_ai.registry.releases import INFO_PATH, list_versions, read_release, release_uri
from emotion_ai.registry.runs import SUMMARY, read_records, run_uri, write_record
from emotion_ai.storage.uri import local_path

from support.minimal_release import Publisher, write_minimal_release

DAY = 86_400.0


def in_days(days: float) -> float:
    return time.time() + days * DAY


def add_run(registry: str, run_id: str, ended: bool = True) -> None:
    write_record(registry, run_id, "resolve", {"champion": ""})
    storage.write_bytes(storage.join(run_uri(registry, run_id), "reports", "data.html"), b"<p>")
    if ended:
        write_record(registry, run_id, SUMMARY, {"outcome": "rejected"})


def runs(registry: str) -> list[str]:
    return storage.list_names(storage.join(registry, "runs"))


def publish_of_run(registry: str, folder: Path, run_id: str) -> int:
    """Publish a release that came from a run."""
    files, draft = write_minimal_release(folder / run_id, run_id)
    add_run(registry, run_id)
    return publish(registry, files, draft.model_copy(update={"run_id": run_id}))[0]


def test_old_runs_go_and_young_ones_stay(registry: str) -> None:
    for number in range(3):
        add_run(registry, f"run-{number}")
    assert remove_old_runs(registry, 90, in_days(89)) == []
    assert runs(registry) == ["run-0", "run-1", "run-2"]
    assert remove_old_runs(registry, 90, in_days(91)) == ["run-0", "run-1", "run-2"]
    assert runs(registry) == []
    assert remove_old_runs(registry, 90, in_days(91)) == []


def test_without_a_limit_nothing_goes(registry: str) -> None:
    add_run(registry, "run-1")
    write_checkpoint(registry, "keypoints-0123456789abcdef")
    assert remove_old_runs(registry, 0, in_days(9_999)) == []
    assert remove_old_checkpoints(registry, 0, in_days(9_999)) == []
    assert remove_old_checkpoints("", 1, in_days(9_999)) == []
    assert read_records(registry, "run-1")


def test_the_newest_file_of_a_run_counts(tmp_path: Path) -> None:
    registry = str(tmp_path)
    for name in ("old", "mixed"):
        add_run(registry, name)
        for path in local_path(run_uri(registry, name)).rglob("*.*"):
            os.utime(path, (in_days(-100), in_days(-100)))
    report = local_path(run_uri(registry, "mixed")) / "reports" / "data.html"
    os.utime(report, (in_days(-1), in_days(-1)))
    assert remove_old_runs(registry, 90, in_days(0)) == ["old"]
    assert runs(registry) == ["mixed"]


def test_the_runs_of_releases_stay(registry: str, tmp_path: Path) -> None:
    for run_id in ("first", "champion", "newest"):
        publish_of_run(registry, tmp_path, run_id)
    write_champion(registry, 2)
    add_run(registry, "rejected")
    assert remove_old_runs(registry, 1, in_days(9_999)) == ["rejected"]
    assert runs(registry) == ["champion", "first", "newest"]
    # A release that is removed needs its run no longer.
    assert retain(registry, 1) == [1]
    assert remove_old_runs(registry, 1, in_days(9_999)) == ["first"]
    assert {read_release(registry, v).run_id for v in list_versions(registry)} == {*runs(registry)}


def test_a_run_that_goes_on_stays(registry: str) -> None:
    add_run(registry, "running", ended=False)
    add_run(registry, "ended")
    assert remove_old_runs(registry, 1, in_days(UNFINISHED_DAYS - 1)) == ["ended"]
    assert remove_old_runs(registry, 1, in_days(UNFINISHED_DAYS + 1)) == ["running"]


def test_a_release_that_cannot_be_read_stops_the_removal(
    registry: str, publish_minimal: Publisher
) -> None:
    publish_minimal("a")
    storage.write_bytes(storage.join(release_uri(registry, 1), INFO_PATH), b"{}")
    add_run(registry, "old")
    with pytest.raises(InputError, match=r"release\.json: .*; its run is not known, so no run is"):
        remove_old_runs(registry, 1, in_days(9_999))
    assert runs(registry) == ["old"]


def test_what_is_no_run_stays(registry: str) -> None:
    storage.write_bytes(storage.join(registry, "runs", "-notes", "x"), b"x")
    storage.write_bytes(storage.join(registry, "runs", "README"), b"x")
    assert remove_old_runs(registry, 1, in_days(9_999)) == []
    assert runs(registry) == ["-notes", "README"]


def write_checkpoint(root: str, name: str) -> None:
    for file in ("state.json", "latest-00001.keras"):
        storage.write_bytes(storage.join(root, name, file), b"x")


def test_old_checkpoints_go_and_other_folders_stay(registry: str) -> None:
    ours = ["expression-0123456789abcdef", "keypoints-0123456789abcdef"]
    for name in [*ours, "expression-of-mine", "1"]:
        write_checkpoint(registry, name)
    assert remove_old_checkpoints(registry, 14, in_days(13)) == []
    assert remove_old_checkpoints(registry, 14, in_days(15)) == ours
    assert storage.list_names(registry) == ["1", "expression-of-mine"]


def test_a_checkpoint_is_as_old_as_its_last_epoch(tmp_path: Path) -> None:
    name = "keypoints-0123456789abcdef"
    write_checkpoint(str(tmp_path), name)
    os.utime(tmp_path / name / "state.json", (in_days(-100), in_days(-100)))
    assert remove_old_checkpoints(str(tmp_path), 14, in_days(0)) == []
    os.utime(tmp_path / name / "latest-00001.keras", (in_days(-15), in_days(-15)))
    assert remove_old_checkpoints(str(tmp_path), 14, in_days(0)) == [name]


def test_checkpoints_are_named_as_trainings_name_them(tmp_path: Path) -> None:
    from emotion_ai.faces.arrays import FacesInfo
    from emotion_ai.networks.checkpoints import checkpoint_uri
    from emotion_ai.networks.settings import TrainingSettings

    for kind in ("keypoints", "expression"):
        info = FacesInfo(kind=kind, image_size=8, source="x", fingerprint="f")
        uri = checkpoint_uri(str(tmp_path), info, TrainingSettings(), (1, "", "revision"))
        storage.write_bytes(storage.join(uri, "state.json"), b"{}")
        assert remove_old_checkpoints(str(tmp_path), 1, in_days(2)) == [Path(uri).name]
