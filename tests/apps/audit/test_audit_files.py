"""What `emotion-ai audit` writes about a source, and what it refuses."""

import csv
from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.pipeline.local.audit import write_audit
from emotion_ai.pipeline.settings import RunSettings, load_run_settings

from support.face_csv import write_expression


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    """Five faces of each emotion and thirty more; one of them was corrected before."""
    source = write_expression(tmp_path / "fer.csv", [*range(7)] * 10, ["Training"] * 70)
    (tmp_path / "fer.corrections.csv").write_text("row,emotion,corrected\n1,disgust,happy\n")
    flags = {"expression": str(source), "registry": str(tmp_path / "registry")}
    return load_run_settings("local", "", flags)


def test_a_table_and_a_page_show_the_corrected_labels(
    settings: RunSettings, tmp_path: Path
) -> None:
    table, page = tmp_path / "audit.csv", tmp_path / "audit.html"
    seen: list[int] = []
    assert write_audit(settings, "pretrained", 100, table, seen.append) == seen[-1]
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == seen[-1]
    assert [row["emotion"] for row in rows if row["row"] == "1"] == ["happy"]
    shares = [float(row["probability"]) for row in rows]
    assert shares == sorted(shares)
    write_audit(settings, "pretrained", 5, page, seen.append)
    text = page.read_text()
    assert text.count("<figure") == 5
    assert '"earlier": [[1, "disgust", "happy"]]' in text
    assert '"file": "fer.corrections.csv"' in text


@pytest.mark.parametrize(
    ("release", "name", "message"),
    [
        ("pretrained", "audit.txt", r"expected the name of a file \.html or \.csv"),
        ("pretrained", "nowhere/audit.csv", "there is no folder"),
        ("champion", "audit.csv", "'champion': expected pretrained, or the number"),
        ("best", "audit.csv", "'best': expected pretrained, or the number"),
        ("7", "audit.csv", "registry: no such folder"),
        ("9" * 5000, "audit.csv", "'9{30}': expected pretrained, or the number"),
    ],
)
def test_what_cannot_be_is_refused_first(
    settings: RunSettings, tmp_path: Path, release: str, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_audit(settings, release, 5, tmp_path / name, lambda done: pytest.fail("began"))
    assert not (tmp_path / name).exists()
