"""The file of the people shown: what it may leave out."""

from pathlib import Path

import pytest

from emotion_ai.sources.subjects import read_subjects


@pytest.mark.parametrize(
    ("content", "subjects"),
    [
        pytest.param("row,subject\n", [], id="header"),
        pytest.param("row,subject\n\n\n", [], id="empty lines"),
        pytest.param("row,subject\n,\nNA,\n", [], id="missing cells"),
        pytest.param("row,subject\n2,7.0\n,\n0,NA\n", [-1, -1, 7], id="some missing"),
    ],
)
def test_subjects_may_be_missing(tmp_path: Path, content: str, subjects: list[int]) -> None:
    (tmp_path / "faces.subjects.csv").write_text(content)
    found = read_subjects(str(tmp_path / "faces.csv"), max_rows=10)
    assert found is not None
    assert found.tolist() == subjects
