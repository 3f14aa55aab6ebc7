"""Tests of `sources.csv_table` with Kaggle's files, compressed or not, and with other files."""

import gzip
import zipfile
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.faces.arrays import UNASSIGNED
from emotion_ai.faces.keypoints import COLUMNS
from emotion_ai.sources.csv_table import BadRow

from support.face_csv import (
    keypoint_cells,
    pixel_text,
    random_images,
    write_expression,
    write_keypoints,
)
from support.tables import IMAGES, PIXELS, read_all


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
