"""Tests of `storage.atomic_files`."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.apps.predict.journal import open_journal
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.errors import InputError
from emotion_ai.registry.folder_writer import LOCK_NAME, exclusive_folder_writer
from emotion_ai.storage.atomic_files import remove_abandoned_files, remove_on_failure


def write_video(path: Path) -> None:
    with atomic_output(path) as partial:
        partial.write_bytes(b"new")


def predict_to(path: Path) -> None:
    with open_journal(path, {}):
        pass


def write_registry(path: Path) -> None:
    with exclusive_folder_writer(path.parent):
        pass


# What writes files under names that others can guess, and those names.
WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (lambda path: storage.write_bytes(str(path), b"new"), ".video.mp4.partial"),
    "a video": (write_video, ".video.partial.mp4"),
    "predictions": (predict_to, ".video.mp4.journal"),
    "a release": (write_registry, LOCK_NAME),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("trap", ["link", "second name", "pipe"])
def test_a_trap_under_a_predictable_name_is_refused(name: str, trap: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody else")
    folder = tmp_path / "shared"
    folder.mkdir()
    write, guessed = WRITERS[name]
    if trap == "link":
        (folder / guessed).symlink_to(victim)
    elif trap == "second name":
        (folder / guessed).hardlink_to(victim)
    else:
        os.mkfifo(folder / guessed)
    with pytest.raises(InputError, match=f"{guessed}: is a link or no file"):
        write(folder / "video.mp4")
    assert victim.read_text() == "of somebody else"
    assert not (folder / "video.mp4").exists()


def test_leftovers_are_removed_and_what_was_not_made_here_stays(tmp_path: Path) -> None:
    (tmp_path / ".left.partial").write_text("of a killed writer")
    (tmp_path / "victim").write_text("of somebody else")
    (tmp_path / ".link.partial").symlink_to(tmp_path / "victim")
    os.mkfifo(tmp_path / ".pipe.partial")
    remove_abandoned_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".link.partial",
        ".pipe.partial",
        "victim",
    ]


def test_remove_on_failure_removes_new_outputs_and_keeps_existing_folders(tmp_path: Path) -> None:
    existing, new, report = (tmp_path / name for name in ("existing", "new", "report"))
    existing.mkdir()
    (existing / "kept").touch()
    with contextlib.suppress(ValueError), remove_on_failure(existing, new, report, "absent"):
        new.mkdir()
        (new / "graph").touch()
        report.touch()
        raise ValueError
    assert [path.name for path in tmp_path.rglob("*")] == ["existing", "kept"]
