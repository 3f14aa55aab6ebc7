"""Tests of `sources.uri`: where a source's subjects file is."""

from pathlib import Path

import pytest

from emotion_ai import storage
from emotion_ai.sources.uri import subjects_uri


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("faces.csv", "faces.subjects.csv"),
        ("faces.csv.gz", "faces.subjects.csv"),
        ("faces.csv.zip", "faces.subjects.csv"),
        ("fer.posed.csv", "fer.posed.subjects.csv"),
        ("fer.zip", "fer.subjects.csv"),
        ("fer.posed.zip", "fer.posed.subjects.csv"),
        ("faces.jsonl", "faces.subjects.csv"),
        ("faces.jsonl.gz", "faces.subjects.csv"),
        ("faces.v2", "faces.v2.subjects.csv"),
        ("faces", "faces.subjects.csv"),
        (".faces", ".faces.subjects.csv"),
        ("fer.d/faces", "fer.d/faces.subjects.csv"),
        ("gs://fer.data/faces.csv", "gs://fer.data/faces.subjects.csv"),
    ],
)
def test_subjects_uri_replaces_the_suffixes_of_a_file(source: str, expected: str) -> None:
    assert subjects_uri(source) == expected


@pytest.mark.parametrize("end", ["", "/"])
def test_subjects_uri_keeps_the_dots_of_a_folder(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "fer.posed"
    folder.mkdir()
    assert subjects_uri(f"{folder}{end}") == f"{folder}.subjects.csv"


def test_subjects_uri_keeps_the_dots_of_a_folder_in_cloud_storage(cloud_storage: str) -> None:
    folder = storage.join(cloud_storage, "subjects/fer.posed")
    storage.write_bytes(storage.join(folder, "happy/0.png"), b"0")
    storage.write_bytes(f"{folder}.jsonl", b"0")
    assert subjects_uri(folder) == f"{folder}.subjects.csv"
    assert subjects_uri(f"{folder}.jsonl") == f"{folder}.subjects.csv"
