"""Tests of `storage.atomic_files`."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import emotion_ai.client
from emotion_ai import storage
from emotion_ai.apps.predict.command import predict_paths
from emotion_ai.apps.predict.journal import open_journal
from emotion_ai.apps.watch.outputs import atomic_output
from emotion_ai.client.analyzer import Analyzer
from emotion_ai.errors import InputError
from emotion_ai.registry.folder_writer import LOCK_NAME, exclusive_folder_writer
from emotion_ai.storage.atomic_files import (
    follow_links,
    remove_abandoned_files,
    remove_on_failure,
)

PICTURE = Path(emotion_ai.client.__path__[0], "astronaut.jpg")


def write_video(path: Path) -> None:
    with atomic_output(path) as partial:
        partial.write_bytes(b"new")


def predict_to(path: Path) -> None:
    with open_journal(path, {}):
        pass


def write_registry(path: Path) -> None:
    with exclusive_folder_writer(path.parent):
        pass


def test_an_output_is_written_where_a_link_leads(tmp_path: Path) -> None:
    links = [tmp_path / "link.csv", tmp_path / "link.mp4"]
    (tmp_path / "data").mkdir()
    for link in links:
        link.symlink_to(Path("data", link.name))
    for _ in range(2):
        # The first time the links lead to nothing yet.
        analyzer = Analyzer("whole")
        predict_paths([PICTURE], analyzer, output=links[0])
        write_video(links[1])
        assert all(link.is_symlink() for link in links)
        assert links[0].read_text().startswith("file,")
        assert links[1].read_bytes() == b"new"
        assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
            "link.csv",
            "link.mp4",
        ]
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="loop: this is a link that leads to itself"):
        follow_links(loop)


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
