"""Tests of `registry.runs`."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.registry.runs import (
    list_reports,
    read_json,
    read_records,
    record_report,
    run_uri,
    write_record,
)


def test_records_and_reports_are_read_back(registry: str, tmp_path: Path) -> None:
    assert read_records(registry, "run-1") == {}
    assert list_reports(registry, "run-1") == []
    page = tmp_path / "report"
    page.write_text("<!doctype html>")
    write_record(registry, "run-1", "push", {"version": 1})
    write_record(registry, "run-1", "push", {"version": 2, "at": Path("x"), "rmse": math.nan})
    write_record(registry, "run-1", "resolve", {"champion": ""})
    write_record(registry, "run-2", "resolve", {"champion": "2"})
    record_report(registry, "run-1", "data.keypoints", str(page))
    assert read_records(registry, "run-1") == {
        "push": {"version": 2, "at": "x", "rmse": None},
        "resolve": {"champion": ""},
    }
    assert list_reports(registry, "run-1") == ["data.keypoints"]


@given(name=st.text(max_size=200))
def test_run_uri_is_in_the_runs_folder_or_rejected(name: str) -> None:
    try:
        uri = run_uri("/registry", name)
    except InputError:
        return
    assert Path(uri).resolve() == Path("/registry/runs") / name
    assert len(Path(uri).name) <= 128


def test_read_json_names_damaged_records(tmp_path: Path) -> None:
    uri = str(tmp_path / "record.json")
    for text, message in (
        (b"{", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b"\xff", "JSON"),
    ):
        storage.write_bytes(uri, text)
        with pytest.raises(InputError, match=f"record.json: .*{message}"):
            read_json(uri)
