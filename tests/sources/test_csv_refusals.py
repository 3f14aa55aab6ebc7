"""Rows that a table of faces cannot use are dropped and named; files that are none are refused."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_lines import MAX_LINE_BYTES
from emotion_ai.sources.csv_table import BadRow, open_table, read_blocks

from support.face_csv import (
    FER7,
    keypoint_cells,
    random_images,
    write_expression,
    write_keypoints,
)
from support.tables import PIXELS, read_all


@pytest.mark.parametrize(
    ("changes", "column", "check", "message"),
    [
        ({0: "96.01"}, COLUMNS[0], "keypoint_outside", "'96.01', expected 0-96"),
        ({29: "-0.5"}, COLUMNS[29], "keypoint_outside", "'-0.5', expected 0-96"),
        ({3: "left"}, COLUMNS[3], "keypoint_value", "'left', expected 0-96"),
        ({4: "inf"}, COLUMNS[4], "keypoint_value", "'inf', expected 0-96"),
        ({20: ""}, COLUMNS[20], "keypoint_value", "x or y is missing"),
        (
            dict.fromkeys(range(4, 30), ""),
            "keypoints",
            "too_few_keypoints",
            "2 of 15 are given, expected at least 3",
        ),
    ],
)
def test_bad_keypoints_are_dropped_and_named(
    tmp_path: Path, changes: dict[int, str], column: str, check: str, message: str
) -> None:
    cells = keypoint_cells(3)
    for position, text in changes.items():
        cells[1][position] = text
    rows, bad = read_all(write_keypoints(tmp_path / "training.csv", cells), "keypoints")
    assert bad == [BadRow(1, 3, column, check, message)]
    assert rows.row.tolist() == [0, 2]
    assert np.array_equal(rows.images, random_images(3, 96)[[0, 2]])


@pytest.mark.parametrize(
    ("line", "column", "check"),
    [
        (f"7,{PIXELS[1]},Training", "emotion", "unknown_label"),
        (f"glad,{PIXELS[1]},Training", "emotion", "unknown_label"),
        (f"contempt,{PIXELS[1]},Training", "emotion", "unknown_label"),
        (f",{PIXELS[1]},Training", "emotion", "unknown_label"),
        (f"2.5,{PIXELS[1]},Training", "emotion", "unknown_label"),
        (f"2,{PIXELS[1]},Exam", "usage", "malformed_row"),
        (f"2,{PIXELS[1]},", "usage", "malformed_row"),
        (f"2,{PIXELS[1]}", "-", "malformed_row"),
        (f"2,{PIXELS[1]},Training,7", "-", "malformed_row"),
        (f"2,{PIXELS[1]} 7,Training", "pixels", "pixel_count"),
        (f"2,{PIXELS[1]}7777,Training", "pixels", "pixel_value"),
        (f'2,"{PIXELS[1]},Training', "-", "malformed_row"),
    ],
)
def test_bad_rows_are_dropped_and_named(tmp_path: Path, line: str, column: str, check: str) -> None:
    path = tmp_path / "faces.csv"
    good = f"1,{PIXELS[0]},Training\n"
    path.write_text(f"emotion,pixels,Usage\n{good}\n{line}\n{good}")
    rows, bad = read_all(path)
    assert rows.row.tolist() == [0, 2]
    assert [(each.row, each.line, each.column, each.check) for each in bad] == [
        (1, 4, column, check)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected a CSV with a header"),
        (b"emotion,Usage\n", "column pixels is missing; the header (line 1) has emotion, usage"),
        (b"emotion,pixels,Pixels\n", "column pixels is in the header twice"),
        (gzip.compress(b"emotion,pixels\n" * 99, mtime=0)[:-12], "damaged in its first MiB"),
        (b"PK\x03\x04 and no more", "damaged zip"),
        (b"x" * (MAX_LINE_BYTES + 1), "line 1 is longer than 262144 bytes"),
        (gzip.compress(b"7" * 10_000_000, mtime=0), "line 1 is longer than 262144 bytes"),
    ],
)
def test_open_table_rejects_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_all(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_open_table_recognises_a_file_of_the_other_kind(tmp_path: Path) -> None:
    keypoints = write_keypoints(tmp_path / "training.csv", keypoint_cells(1))
    with pytest.raises(InputError, match="looks like a file of keypoints, expected expression"):
        read_all(keypoints)
    expression = write_expression(tmp_path / "fer.csv", [0])
    with pytest.raises(InputError, match="looks like a file of expression, expected keypoints"):
        read_all(expression, "keypoints")


@pytest.mark.parametrize("names", [[], ["a.csv", "b.csv"]])
def test_open_table_rejects_a_zip_without_exactly_one_csv(tmp_path: Path, names: list[str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
        for name in names:
            archive.writestr(name, "emotion,pixels\n")
    path = tmp_path / "faces.zip"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(
        InputError, match=r"expected one CSV in the zip, found (none|a\.csv, b\.csv)"
    ):
        read_all(path)


def test_read_blocks_rejects_more_than_max_rows(tmp_path: Path) -> None:
    path = write_expression(tmp_path / "faces.csv", [0, 1, 2])
    table = open_table(str(path), "expression")
    with pytest.raises(InputError, match="more than 2 rows; raise max_rows"):
        list(read_blocks(table, FER7, DataChecks(max_rows=2)))


@pytest.mark.parametrize("path", ["nowhere.csv", "."])
def test_open_table_rejects_missing_files_and_folders(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        read_all(tmp_path / path)
