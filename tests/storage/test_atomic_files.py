"""What a step leaves behind when it fails."""

import contextlib
from pathlib import Path

from emotion_ai.storage.atomic_files import remove_on_failure


def test_what_was_written_goes_and_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    mine, new, report = (tmp_path / name for name in ("mine", "new", "report"))
    mine.mkdir()
    (mine / "kept").touch()
    with contextlib.suppress(ValueError), remove_on_failure(mine, new, report, "absent"):
        new.mkdir()
        (new / "graph").touch()
        report.touch()
        raise ValueError
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "kept"]
