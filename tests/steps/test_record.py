"""The step record copies the steps' reports into the run's folder."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.registry.reports import record_reports
from emotion_ai.registry.runs import list_reports, read_records


def test_record_reports_sorts_pages_and_records_by_content(tmp_path: Path) -> None:
    registry = tmp_path / "registry"
    (tmp_path / "page").write_text("\n<!doctype html><p>faces")
    (tmp_path / "numbers").write_text(' {"accuracy": 0.5}')
    reports = {"data": str(tmp_path / "page"), "metrics": str(tmp_path / "numbers")}
    record_reports(reports, str(registry), "run-1")
    assert list_reports(str(registry), "run-1") == ["data"]
    page = registry / "runs" / "run-1" / "reports" / "data.html"
    assert page.read_text() == "\n<!doctype html><p>faces"
    assert read_records(str(registry), "run-1") == {"metrics": {"accuracy": 0.5}}


def test_record_reports_rejects_other_content(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="picture: report data is neither"):
        record_reports({"data": str(tmp_path / "picture")}, str(tmp_path), "run-1")
    with pytest.raises(InputError, match="absent: no such file"):
        record_reports({"data": str(tmp_path / "absent")}, str(tmp_path), "run-1")
