"""Groups of faces beside a source: ingest reads them, evaluate scores them, the gate may ask."""

from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.groups import NO_GROUP, FaceGroups, read_groups, write_groups
from emotion_ai.sources.uri import fingerprint
from emotion_ai.steps.evaluate import slices
from emotion_ai.steps.prepare.run import run as prepare

from support.evaluate_step import run
from support.face_csv import write_expression
from support.gray_faces import FIRST_ROW, expression_faces, expression_model, keypoint_faces
from support.ingest_step import EVERY_CODE, Outputs
from support.picture_folders import write_pictures
from support.tiny_saved_model import LABELS

_SPLITS = ["Training"] * 7 + ["PublicTest"] * 7 + ["PrivateTest"] * 7


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_expression(tmp_path / "fer.csv", EVERY_CODE * 3, _SPLITS)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("row,Age,glasses\n20,60+,none\n3,20-29,\n0,20-29,round\n", id="text"),
        pytest.param(
            "glasses;row;age;file\r\nnone;20;60+;a\r\nNaN;3.0;20-29;b\r\nround;0;20-29;\r\n;;;\r\n",
            id="by-a-spreadsheet",
        ),
    ],
)
def test_groups_are_read_and_carried_on(
    source: Path, outputs: Outputs, tmp_path: Path, text: str
) -> None:
    before = fingerprint(str(source))
    (tmp_path / "fer.groups.csv").write_text(text)
    outputs.ingest(source, checks={"duplicates": 1, "split_duplicates": 1})
    assert outputs.faces.info.fingerprint == fingerprint(str(source)) != before
    assert outputs.statistics["groups"] == {
        "age": {"20-29": 2, "60+": 1},
        "glasses": {"none": 1, "round": 1},
    }
    assert "20-29 2, 60+ 1" in outputs.report
    prepared = tmp_path / "prepared"
    prepare(str(outputs.faces.path), {}, str(prepared), str(tmp_path / "preview.html"))
    groups = read_groups(prepared)
    assert groups is not None
    # Of row 1 nothing is known, and row 99 is nowhere.
    codes = groups.of_rows(np.array([20, 1, 0, 3, 99]))
    by_column = dict(zip(groups.names, codes.T.tolist(), strict=True))
    assert by_column["age"] == [1, NO_GROUP, 0, 0, NO_GROUP]
    assert by_column["glasses"] == [0, NO_GROUP, 1, NO_GROUP, NO_GROUP]


def test_groups_of_pictures_are_named_by_file(tmp_path: Path, outputs: Outputs) -> None:
    names = write_pictures(tmp_path / "fer", ("train", "validation", "test"))
    (tmp_path / "fer.groups.csv").write_text(f"file,light\n{names[5]},dim\n{names[2]},dim\n")
    outputs.ingest(tmp_path / "fer")
    groups = read_groups(outputs.faces.path)
    assert groups is not None
    assert groups.rows.tolist() == [2, 5]
    (tmp_path / "fer.groups.csv").write_text("file,light\ntest/happy.jpg,dim\n")
    with pytest.raises(InputError, match=r"column file: 'test/happy.jpg'; expected a picture of"):
        outputs.ingest(tmp_path / "fer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age\n1\n", "expected a column row or file, and a column for each kind .* has age"),
        ("row\n1\n", "expected a column row or file, and a column for each kind .* has row"),
        ("row,age,AGE\n1,2,3\n", "column age is in the header twice"),
        ("row,,age\n1,2,3\n", "column 2 is named ''; expected 1 to 40 letters"),
        ("row," + ",".join(map(str, range(17))), "17 columns of groups; expected 16 or less"),
        ("row,age\n1\n", "line 2: 1 fields, expected 2"),
        ("row,age\nx,old\n", r"data row 0 \(from 0\), column row: 'x'; expected a whole number"),
        ("row,age\n1,old\n1,old\n", r"data row 1 \(from 0\), column row: '1'; .* each row once"),
        ("row,age\n21,old\n", "column row: 21 is beyond the last data row of .*fer.csv, 20"),
        ("file,age\na.png,old\n", "column file: the source has no pictures; expected column row"),
        (
            f"row,age\n1,{'o' * 41}\n",
            r"data row 0 \(from 0\), column age: 'oooo.*; expected 1 to 40 letters",
        ),
        ("row,age\n1,\x1b[31m\n", r"data row 0 \(from 0\), column age: .*31m'; expected 1 to 40"),
        ("row,age\n1,20/29\n", r"data row 0 \(from 0\), column age: '20/29'; .* without a slash"),
    ],
    ids=lambda text: text[:12].split("\n")[0],
)
def test_groups_that_cannot_be_read_are_refused(
    source: Path, outputs: Outputs, text: str, message: str
) -> None:
    (source.parent / "fer.groups.csv").write_text(text)
    with pytest.raises(InputError, match=rf"fer\.groups\.csv: {message}"):
        outputs.ingest(source, checks={"duplicates": 1, "split_duplicates": 1})
    assert outputs.is_refused()


def test_numbers_that_make_no_groups_are_refused(tmp_path: Path, outputs: Outputs) -> None:
    source = write_expression(tmp_path / "fer.csv", EVERY_CODE * 5)
    ages = "".join(f"{row},{row + 20}\n" for row in range(31))
    (tmp_path / "fer.groups.csv").write_text(f"row,age\n{ages}")
    with pytest.raises(InputError, match=r"column age: 31 groups, such as '20' and '21'; .*ranges"):
        outputs.ingest(source, checks={"duplicates": 1})


def _with_groups(faces: str) -> str:
    """Say which of the gray faces are dark: the first three sevenths; one is bearded."""
    position = np.arange(140)
    codes = np.stack([position % 7 >= 3, np.where(position == 120, 0, NO_GROUP)], 1)
    names = {"tone": ("dark", "light"), "beard": ("yes",)}
    write_groups(faces, FaceGroups(names, FIRST_ROW + position, codes.astype(np.uint8)))
    return faces


@pytest.fixture
def _few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MIN_FACES", 10)


@pytest.mark.usefixtures("_few_are_enough")
def test_a_group_that_is_worse_off_is_shown_and_may_be_refused(tmp_path: Path) -> None:
    # The network takes the two darkest emotions for one another: two thirds of the dark faces.
    swapped = (LABELS[1], LABELS[0], *LABELS[2:])
    result, metrics, gate, page = run(
        tmp_path,
        expression_faces=_with_groups(expression_faces(tmp_path)),
        expression_model=expression_model(tmp_path, labels=swapped),
        keypoint_faces=_with_groups(keypoint_faces(tmp_path)),
        gate={"expression": {"groups": 0.6}, "keypoints": {"groups": 0.5}},
    )
    assert metrics["expression/PrivateTest/group_accuracy/tone/dark"] == pytest.approx(1 / 3)
    assert metrics["expression/PrivateTest/group_accuracy_gap/tone/dark"] == pytest.approx(2 / 3)
    assert metrics["expression/PrivateTest/group_accuracy_gap/tone/light"] == pytest.approx(-2 / 3)
    assert not any("beard" in name for name in metrics)
    failed = [check["name"] for check in gate["checks"] if not check["passed"]]
    assert failed == ["expression/PrivateTest/group_accuracy_gap/tone/dark"]
    assert not result.accepted
    assert gate["reasons"][0] == (
        "loss of accuracy on group tone/dark on PrivateTest is 66.7 %, above the ceiling of 60.0 %"
    )
    text = page.replace("\N{NO-BREAK SPACE}", " ")
    assert "<td>tone</td><td>dark</td><td>18</td><td>18</td><td>33.3 %</td><td>100.0 %</td>" in text
    assert '<span class="bad">66.7 points (' in text
    assert "<td>beard</td><td>yes</td><td>1</td><td>1</td><td>too few</td>" in text


def test_a_gate_that_asks_for_groups_refuses_where_there_are_none(tmp_path: Path) -> None:
    result, _, gate, page = run(tmp_path, gate={"expression": {"groups": 0.5}})
    assert not result.accepted
    assert (
        "largest loss of accuracy on a group of faces on PrivateTest could not be measured"
        in (gate["reasons"][0])
    )
    assert "by group" not in page
