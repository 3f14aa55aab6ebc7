"""The step ingest: the faces artifact, the report page and the statistics of a source."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.sources.uri import fingerprint

from support.face_csv import keypoint_cells, random_images, write_expression, write_keypoints
from support.ingest_step import EVERY_CODE, LENIENT, Outputs


def test_ingest_writes_expression_faces(tmp_path: Path, outputs: Outputs) -> None:
    usage = ["Training", "PublicTest", "PrivateTest", *["Training"] * 4]
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE, usage)
    outputs.ingest(path)
    faces = outputs.faces
    rows = faces.take(np.arange(7))
    assert np.array_equal(rows.images, random_images(7, 48))
    assert rows.targets.tolist() == EVERY_CODE
    assert rows.split.tolist() == [0, 1, 2, 0, 0, 0, 0]
    assert faces.info.split_names == ("Training", "PublicTest", "PrivateTest")
    assert faces.info.labels[6] == "neutral"
    assert faces.info.image_size == 48
    assert faces.info.source == str(path)
    assert faces.info.fingerprint == fingerprint(str(path))
    assert faces.info.counts["split/Training"] == 5
    assert faces.info.counts["emotion/happy"] == 1
    assert outputs.statistics["rows_read"] == 7
    assert "passes every check" in outputs.report


def test_ingest_writes_keypoint_faces(tmp_path: Path, outputs: Outputs) -> None:
    cells = keypoint_cells(4)
    cells[3][4:] = [""] * 16 + cells[3][20:22] + [""] * 8
    outputs.ingest(write_keypoints(tmp_path / "training.csv", cells), kind="keypoints")
    rows = outputs.faces.take(np.arange(4))
    assert np.array_equal(rows.images, random_images(4, 96))
    expected = np.array(cells[0], dtype=np.float32).reshape(15, 2)
    assert np.array_equal(rows.targets[0], expected)
    assert np.count_nonzero(~np.isnan(rows.targets[3])) == 6
    assert outputs.faces.info.labels == ()
    assert outputs.statistics["keypoints"]["mouth_left_corner"]["annotated"] == 3
    assert outputs.statistics["keypoints"]["nose_tip"]["annotated"] == 4


def test_ingest_refuses_course5_as_fer7(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "data.csv", [0, 1, 2, 3, 4] * 4)
    with pytest.raises(InputError, match=r"codes 5 and 6.*read it with --label-set course5"):
        outputs.ingest(path)
    outputs.ingest(path, label_set="course5")
    assert outputs.faces.info.labels == ("anger", "disgust", "sad", "happy", "surprise")


def test_ingest_refuses_fer7_as_course5(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    with pytest.raises(InputError, match=r"data row 5 .*'5', expected an emotion code 0-4"):
        outputs.ingest(path, label_set="course5")


def test_ingest_keeps_a_subset_of_emotions(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE * 2)
    outputs.ingest(path, emotions="neutral, happy,angry")
    assert outputs.faces.info.labels == ("angry", "happy", "neutral")
    assert outputs.faces.column("targets").tolist() == [0, 1, 2, 0, 1, 2]
    assert outputs.faces.column("row").tolist() == [0, 3, 6, 7, 10, 13]
    assert outputs.statistics["rows_of_other_emotions"] == 8
    assert outputs.statistics["rows_left_out"] == 0


def test_ingest_reads_people_from_the_subjects_file(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    subjects = tmp_path / "fer.subjects.csv"
    subjects.write_text("row,subject\n0,4\n6,4\n2,9\n")
    outputs.ingest(path)
    assert outputs.faces.column("subject").tolist() == [4, -1, 9, -1, -1, -1, 4]
    assert outputs.statistics["subjects"] == 2


@pytest.mark.parametrize(
    "text",
    [
        # pandas, with its index; a column with missing values is of floats.
        b",row,subject\n0,0,4.0\n1,1,\n2,2,9.0\n3,6,4.0\n",
        b"row,subject\n0,4\n1,NA\n2,9\n6,4\n",
        # Excel: semicolons, empty rows at the end, decimal commas.
        b"\xef\xbb\xbfRow;Subject\r\n0;4\r\n2;9\r\n6;4,0\r\n;\r\n;\r\n",
        "row\tsubject\r\n0\t4\r\n2\t9\r\n6\t4\r\n".encode("utf-16"),
        b"subject,name,row\n4,Ann,0\n9,Bo,2\n4,Ann,6\n",
    ],
)
def test_ingest_reads_a_subjects_file_of_pandas_and_excel(
    tmp_path: Path, outputs: Outputs, text: bytes
) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    (tmp_path / "fer.subjects.csv").write_bytes(text)
    outputs.ingest(path)
    assert outputs.faces.column("subject").tolist() == [4, -1, 9, -1, -1, -1, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,subject\n0,1\n7,1\n", "column row: 7 is beyond the last data row of"),
        ("row,subject\n0,1\n0,2\n", "data row 1 (from 0), column row: '0'; expected"),
        ("row,subject\n0,1\n1,-1\n", "data row 1 (from 0), column subject: '-1'; expected"),
        ("row,subject\n0,Ann\n", "column subject: 'Ann'; expected"),
        ("row,subject\n0,1.5\n", "column subject: '1.5'; expected"),
        ("row,subject\n,1\n", "column row: ''; expected"),
        ("row,subject\n1\n", "line 2: 1 fields, expected 2"),
        ("line,subject\n0,1\n", "columns row,subject: the header has line, subject"),
        ("", "not a CSV with the columns row,subject"),
        ("row,subject\n99999999999,1\n", "is beyond max_rows"),
    ],
)
def test_ingest_refuses_an_invalid_subjects_file(
    tmp_path: Path, outputs: Outputs, text: str, message: str
) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    subjects = tmp_path / "fer.subjects.csv"
    subjects.write_text(text)
    with pytest.raises(InputError) as refusal:
        outputs.ingest(path)
    assert str(refusal.value).startswith(f"{subjects}: ")
    assert message in str(refusal.value)
    assert outputs.is_refused()


def test_ingest_refuses_a_changed_source(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    before = fingerprint(str(path))
    outputs.ingest(path, fingerprint=before)
    path.write_text(path.read_text().replace(" 17 ", " 18 ", 1))
    with pytest.raises(InputError, match="changed while the run went on"):
        Outputs(tmp_path / "again").ingest(path, fingerprint=before)


@pytest.mark.parametrize(("kind", "size"), [("keypoints", 96), ("expression", 48)])
def test_ingest_reads_a_sample(outputs: Outputs, kind: str, size: int) -> None:
    source = "sample://21?seed=5"
    outputs.ingest(source, kind=kind, fingerprint=fingerprint(source))
    assert outputs.faces.take(np.arange(21)).images.shape == (21, size, size)
    assert outputs.faces.info.source == source


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"checks": {"pixel_cuont": 0.1}}, "setting checks.pixel_cuont is unknown"),
        ({"checks": {"pixel_count": 1.5}}, "setting checks.pixel_count = "),
        ({"checks": {"max_rows": 2.5}}, "setting checks.max_rows = "),
        ({"kind": "faces"}, "kind 'faces' is unknown"),
        ({"label_set": "fer8"}, "label set 'fer8' is unknown"),
        ({"emotions": "happy,glad"}, "'glad' is not in label set fer7"),
    ],
)
def test_ingest_rejects_invalid_settings(
    tmp_path: Path, outputs: Outputs, settings: dict[str, Any], message: str
) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    with pytest.raises(InputError) as refusal:
        outputs.ingest(path, **settings)
    assert message in str(refusal.value)


def test_ingest_refuses_a_file_without_rows(tmp_path: Path, outputs: Outputs) -> None:
    path = tmp_path / "fer.csv"
    path.write_text("emotion,pixels\n")
    with pytest.raises(InputError, match="no row of data below the header"):
        outputs.ingest(path)


def test_ingest_escapes_the_source_in_the_report(tmp_path: Path, outputs: Outputs) -> None:
    emotions: list[object] = [*EVERY_CODE, "<script>alert(1)</script>"]
    outputs.ingest(write_expression(tmp_path / "fer.csv", emotions), checks=LENIENT)
    assert "<script>" not in outputs.report
    assert "&lt;script&gt;" in outputs.report


def test_ingest_lists_ignored_columns(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},photographer", *(f"{line},me" for line in lines[1:])]))
    outputs.ingest(path)
    assert outputs.statistics["ignored_columns"] == ["photographer"]
    assert "photographer" in outputs.report
