"""Tests of `storage.atomic_files`."""

import contextlib
from pathlib import Path

from emotion_ai.storage.atomic_files import remove_on_failure


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
