"""Retention where people, other programs and wrong clocks have left things: only ours goes."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_ai.errors import Unavailable
from emotion_ai.registry.ageing import remove_old_checkpoints, remove_old_runs
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.publishing import publish, retain
from emotion_ai.registry.releases import list_versions
from emotion_ai.registry.runs import SUMMARY, write_record

from support.minimal_release import write_minimal_release

DAY = 86_400.0
NOBODY = 65_534
STRANGE = [" ", "-x", ".hidden", "a b", "a\nb", "ü", "x" * 129, "..x", "%2e%2e", "~", "*"]


@pytest.fixture
def registry(tmp_path: Path) -> str:
    """A registry with one old run that has ended; retention looks at it 100 days later."""
    write_record(str(tmp_path / "registry"), "ended", SUMMARY, {"outcome": "rejected"})
    return str(tmp_path / "registry")


def later(days: float = 100) -> float:
    return time.time() + days * DAY


def names(registry: str) -> set[str]:
    return {path.name for path in Path(registry, "runs").iterdir()}


def test_folders_whose_names_are_no_runs_stay(registry: str) -> None:
    for name in STRANGE:
        Path(registry, "runs", name).mkdir()
        Path(registry, "runs", name, f"{SUMMARY}.json").write_text("{}")
    assert remove_old_runs(registry, 90, later()) == ["ended"]
    assert names(registry) == {*STRANGE}


def test_links_and_files_stay_and_nothing_behind_a_link_is_touched(
    registry: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{SUMMARY}.json").write_text("{}")
    runs = Path(registry, "runs")
    (runs / "link").symlink_to(outside)
    (runs / "broken").symlink_to(tmp_path / "nowhere")
    (runs / "file").write_text("x")
    os.mkfifo(runs / "pipe")
    # A link within a run goes, and what it leads to stays.
    (runs / "ended" / "reports").symlink_to(outside)
    (runs / "ended" / "loop").symlink_to(runs)
    os.mkfifo(runs / "ended" / "pipe")
    assert remove_old_runs(registry, 90, later()) == ["ended"]
    assert names(registry) == {"link", "broken", "file", "pipe"}
    assert [*outside.iterdir()] == [outside / f"{SUMMARY}.json"]


def test_odd_checkpoints_stay(registry: str, tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    outside = tmp_path / "outside"
    for folder in (root / f"keypoints-{'0' * 16}", outside):
        folder.mkdir(parents=True)
        (folder / "state.json").write_text("{}")
    (root / f"keypoints-{'1' * 16}").symlink_to(outside)
    (root / f"keypoints-{'2' * 16}").write_text("x")
    (root / f"keypoints-{'A' * 16}").mkdir()
    assert remove_old_checkpoints(str(root), 14, later()) == [f"keypoints-{'0' * 16}"]
    assert len([*root.iterdir()]) == 3
    assert [*outside.iterdir()] == [outside / "state.json"]


def test_a_time_in_the_future_keeps_nothing_longer_than_it_is_here(registry: str) -> None:
    summary = Path(registry, "runs", "ended", f"{SUMMARY}.json")
    os.utime(summary, (later(36_500), later(36_500)))
    assert remove_old_runs(registry, 90, later(89)) == []
    assert remove_old_runs(registry, 90, later(91)) == ["ended"]


def test_a_time_before_all_clocks_is_old(registry: str) -> None:
    os.utime(Path(registry, "runs", "ended", f"{SUMMARY}.json"), (-10 * DAY, -10 * DAY))
    assert remove_old_runs(registry, 36_500, time.time()) == []
    assert remove_old_runs(registry, 90, time.time()) == ["ended"]


def test_folders_without_a_file_are_runs_that_have_not_ended(registry: str) -> None:
    Path(registry, "runs", "empty").mkdir()
    Path(registry, "runs", "nested", "reports").mkdir(parents=True)
    assert remove_old_runs(registry, 1, later(29)) == ["ended"]
    assert remove_old_runs(registry, 1, later(31)) == ["empty", "nested"]


def test_runs_that_are_no_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    assert remove_old_runs(str(tmp_path), 1, later()) == []
    assert remove_old_checkpoints(str(tmp_path / "runs"), 1, later()) == []
    assert remove_old_checkpoints(str(tmp_path / "nowhere"), 1, later()) == []


@contextlib.contextmanager
def without_privileges() -> Iterator[Path]:
    """A folder, and a user who owns it and may not do everything."""
    with tempfile.TemporaryDirectory() as folder:
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if is_root:
                os.seteuid(0)
            for path in Path(folder).rglob("*"):
                if path.is_dir():
                    path.chmod(0o700)


def test_a_run_that_cannot_be_removed_keeps_no_other(tmp_path: Path) -> None:
    with without_privileges() as folder:
        for run_id in ("a", "b", "c"):
            write_record(str(folder), run_id, SUMMARY, {})
            write_record(str(folder), run_id, "resolve", {})
        (folder / "runs/a").chmod(0o500)
        (folder / "runs/b").chmod(0o000)
        with pytest.raises(Unavailable) as failure:
            remove_old_runs(str(folder), 90, later())
        sentence = r"2 cannot be removed: .*runs/a.*: Permission denied; removed: 1"
        assert failure.match(sentence)
        assert names(str(folder)) == {"a", "b"}


def test_what_the_champion_and_its_parents_came_from_stays(tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    parents = {"grandparent": None, "parent": 1, "champion": 2, "newest": 3}
    for run_id, parent in parents.items():
        files, draft = write_minimal_release(tmp_path / run_id, run_id)
        changes = {"run_id": run_id, "parent": parent}
        publish(registry, files, draft.model_copy(update=changes))
        write_record(registry, run_id, SUMMARY, {})
    write_champion(registry, 3)
    assert remove_old_runs(registry, 1, later()) == []
    assert retain(registry, 1) == [1]
    assert list_versions(registry) == [2, 3, 4]
    assert remove_old_runs(registry, 1, later()) == ["grandparent"]
    assert names(registry) == {"parent", "champion", "newest"}
