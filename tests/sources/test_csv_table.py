"""Tests of `sources.csv_table` with Kaggle's files, compressed or not, and with other files."""

import gzip
import io
import zipfile
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED, Rows
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.faces.kinds import KindName
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_lines import MAX_LINE_BYTES
from emotion_ai.sources.csv_table import BadRow, open_table, read_blocks

from support.face_csv import (
    FER7,
    keypoint_cells,
    pixel_text,
    random_images,
    write_expression,
    write_keypoints,
)

IMAGES = random_images(3, 48)
PIXELS = [pixel_text(image) for image in IMAGES]


def read_all(path: Path | str, kind: KindName = "expression") -> tuple[Rows, list[BadRow]]:
    blocks = list(read_blocks(open_table(str(path), kind), FER7, DataChecks()))
    names = ("images", "targets", "split", "row", "subject")
    rows = Rows(*(np.concatenate([getattr(b.rows, n) for b in blocks]) for n in names))
    return rows, [bad for block in blocks for bad in block.bad]


@pytest.mark.parametrize(
    "text",
    [
        "emotion,pixels,Usage\n0,{0},Training\n6,{1},PublicTest\n3,{2},PrivateTest\n",
        "emotion, pixels, Usage\n0,{0}, Training\n6,{1}, PublicTest\n3,{2}, PrivateTest\n",
        "emotion, Usage, pixels\n0, Training, {0}\n6, PublicTest, {1}\n3, PrivateTest, {2}\n",
        "pixels,emotion,usage\r\n{0},0,Training\r\n{1},6,PublicTest\r\n{2},3,PrivateTest",
        '"emotion","pixels","Usage"\n"0","{0}","Training"\n'
        '"6","{1}","PublicTest"\n"3","{2}","PrivateTest"\n',
        "\ufeffemotion,pixels,Usage\n0,{0},Training\n\n6,{1},PublicTest\n3,{2},PrivateTest\n\n",
        "id,emotion,pixels,Usage,why\n7,0,{0},Training,\n8,6,{1},PublicTest,a\n"
        '9,3,{2},PrivateTest,"b, c"\n',
        "emotion,pixels,Usage,,\r\n0,{0},Training,,\r\n,,,,\r\n6,{1},PublicTest,,\r\n"
        "3,{2},PrivateTest,,\r\n,,,,\r\n,,,,\r\n",
        "emotion;pixels;Usage\n0;{0};Training;;\n6;{1};PublicTest;;\n3;{2};PrivateTest\n;;\n",
    ],
    ids=[
        "original",
        "blanks",
        "Kaggle full",
        "other order",
        "quoted",
        "BOM",
        "extra columns",
        "Excel",
        "Excel rows",
    ],
)
def test_read_blocks_reads_every_form_of_expressions(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(text.format(*PIXELS).encode())
    rows, bad = read_all(path)
    assert bad == []
    assert np.array_equal(rows.images, IMAGES)
    assert rows.targets.tolist() == [0, 6, 3]
    assert rows.split.tolist() == [0, 1, 2]
    assert rows.row.tolist() == [0, 1, 2]
    assert rows.subject.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("emotions", "usage"),
    [
        (("angry", "neutral", "happy"), ("training", "publictest", "privatetest")),
        (("Anger", "NEUTRAL", "happiness"), ("Train", "Validation", "Test")),
        (("0_angry", "6 neutral", "3-Happy"), ("train", "val", "testing")),
        (("0.0", "6", " 3"), ("TRAINING", "valid", "TEST")),
    ],
)
def test_emotions_and_splits_are_read_as_words(
    tmp_path: Path, emotions: tuple[str, ...], usage: tuple[str, ...]
) -> None:
    path = write_expression(tmp_path / "faces.csv", emotions, usage, PIXELS)
    rows, bad = read_all(path)
    assert bad == []
    assert rows.targets.tolist() == [0, 6, 3]
    assert rows.split.tolist() == [0, 1, 2]


@pytest.mark.parametrize("missing", ["NA", "N/A", "NULL", "None", "nan", "<NA>", "#N/A", ""])
def test_missing_values_are_read_as_programs_write_them(tmp_path: Path, missing: str) -> None:
    cells = keypoint_cells(2)
    cells[1][8:20] = [missing] * 12
    rows, bad = read_all(write_keypoints(tmp_path / "training.csv", cells), "keypoints")
    assert bad == []
    assert np.isnan(rows.targets[1]).any(axis=1).tolist() == [False] * 4 + [True] * 6 + [False] * 5
    assert np.array_equal(rows.targets[0].ravel(), np.array(cells[0], np.float32))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["lines", "list", "array"])
def test_pixels_may_go_over_several_lines(tmp_path: Path, form: str, end: str) -> None:
    images = [image.tolist() for image in IMAGES]
    if form == "lines":
        texts = [end.join(" ".join(map(str, row)) for row in image) for image in images]
    elif form == "list":
        texts = [str(list(chain(*image))) for image in images]
    else:
        texts = [np.array2string(image, threshold=10_000).replace("\n", end) for image in IMAGES]
    lines = [f'{code},"{text}",Training' for code, text in zip((0, 6, 3), texts, strict=True)]
    path = tmp_path / "faces.csv"
    path.write_text(end.join(["emotion,pixels,Usage", *lines, ""]), newline="")
    rows, bad = read_all(path)
    assert bad == []
    assert np.array_equal(rows.images, IMAGES)
    assert rows.row.tolist() == [0, 1, 2]
    assert rows.targets.tolist() == [0, 6, 3]


def test_line_with_an_open_quote_costs_no_other_line(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    good = [f"{code},{text},Training" for code, text in zip((0, 6, 3), PIXELS, strict=True)]
    slip = f'2,"{PIXELS[1]},Training'
    path.write_text("\n".join(["emotion,pixels,Usage", good[0], slip, good[1], slip, good[2], ""]))
    rows, bad = read_all(path)
    assert np.array_equal(rows.images, IMAGES)
    assert [(each.row, each.line, each.check) for each in bad] == [
        (1, 3, "malformed_row"),
        (3, 5, "malformed_row"),
    ]


def test_split_is_unassigned_without_a_usage_column(tmp_path: Path) -> None:
    path = tmp_path / "icml_face_data.csv"
    path.write_text(f"emotion, pixels\n0,{PIXELS[0]}\n4,{PIXELS[1]}\n")
    rows, _ = read_all(path)
    assert rows.split.tolist() == [UNASSIGNED, UNASSIGNED]


def test_subject_column_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    subjects = ("12.0", "NA", "", "1E+05", "Ann")
    lines = [f"{subject},0,{PIXELS[0]}" for subject in subjects]
    path.write_text("\n".join(["subject,emotion,pixels", *lines]))
    rows, bad = read_all(path)
    assert rows.subject.tolist() == [12, -1, -1, 100_000]
    assert bad == [
        BadRow(4, 6, "subject", "malformed_row", "'Ann', expected a whole number from 0")
    ]


def test_compression_is_recognised_by_content(tmp_path: Path) -> None:
    plain = write_expression(tmp_path / "plain.csv", [0, 1, 2], pixels=PIXELS)
    gzipped = tmp_path / "faces.csv.gz"
    gzipped.write_bytes(gzip.compress(plain.read_bytes()))
    zipped = tmp_path / "faces.csv.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "folder/icml_face_data.csv")
        archive.writestr("__MACOSX/folder/._icml_face_data.csv", b"\0")
        archive.writestr("readme.txt", b"hello")
    misnamed = tmp_path / "download"
    misnamed.write_bytes(zipped.read_bytes())
    for path in (plain, gzipped, zipped, misnamed):
        rows, _ = read_all(path)
        assert np.array_equal(rows.images, IMAGES)


def test_gzip_is_read_from_cloud_storage(tmp_path: Path, cloud_storage: str) -> None:
    plain = write_expression(tmp_path / "plain.csv", [0, 1, 2], pixels=PIXELS)
    uri = storage.join(cloud_storage, tmp_path.name, "faces.csv.gz")
    storage.write_bytes(uri, gzip.compress(plain.read_bytes()))
    rows, _ = read_all(uri)
    assert np.array_equal(rows.images, IMAGES)


def test_keypoint_columns_are_read_by_name(tmp_path: Path) -> None:
    images = random_images(2, 96)
    names = ["Image", *reversed(COLUMNS)]
    values = {name: float(k) for k, name in enumerate(COLUMNS)}
    lines = [
        ",".join([pixel_text(image), *(str(values[name]) for name in names[1:])])
        for image in images
    ]
    lines[1] = pixel_text(images[1]) + "," * 23 + ",".join(["8"] * 8)
    path = tmp_path / "training.csv"
    path.write_text("\n".join([",".join(names), *lines]))
    rows, bad = read_all(path, "keypoints")
    assert bad == []
    assert np.array_equal(rows.images, images)
    assert rows.targets[0].ravel().tolist() == list(values.values())
    assert np.array_equal(rows.targets[1, :4], np.full((4, 2), 8))
    assert np.isnan(rows.targets[1, 4:]).all()


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
