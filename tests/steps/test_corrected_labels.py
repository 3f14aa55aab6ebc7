"""Corrections beside a source: ingest reads them, and refuses those of another file."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError
from emotion_ai.sources.uri import fingerprint

from support.face_csv import keypoint_cells, write_expression, write_keypoints
from support.ingest_step import EVERY_CODE, Outputs

# Row k is of emotion k modulo 7: angry, disgust, fear, happy, sad, surprise, neutral.
_CODES = EVERY_CODE * 2


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_expression(tmp_path / "fer.csv", _CODES, ["Training"] * 14)


def _correct(source: Path, text: str) -> None:
    (source.parent / "fer.corrections.csv").write_text(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("row,emotion,corrected\n1,disgust,anger\n6,neutral,none\n", id="as saved"),
        pytest.param(
            "file,Row,Emotion,probability,Corrected\n,6,neutral,0.01,None\n,2,fear,0.02,\n"
            ",1,disgusted,0.03,Angry\n",
            id="a table that was filled in",
        ),
        pytest.param(
            "row;emotion;corrected\r\n1;disgust;anger\r\n6;neutral;none\r\n;;\r\n", id="by Excel"
        ),
    ],
)
def test_ingest_corrects_labels_and_leaves_rows_out(
    source: Path, outputs: Outputs, text: str
) -> None:
    before = fingerprint(str(source))
    _correct(source, text)
    outputs.ingest(source)
    assert outputs.faces.column("row").tolist() == [0, 1, 2, 3, 4, 5, *range(7, 14)]
    assert outputs.faces.column("targets").tolist() == [0, 0, 2, 3, 4, 5, *range(7)]
    assert outputs.statistics["labels_corrected"] == 1
    assert outputs.statistics["rows_left_out_by_correction"] == 1
    assert outputs.statistics["rows_read"] == 14
    # The report counts the labels as they are learnt, and says what was done to them.
    assert outputs.faces.info.counts["emotion/angry"] == 3
    assert "labels corrected" in outputs.report
    assert outputs.faces.info.fingerprint == fingerprint(str(source)) != before


def test_a_corrected_label_counts_when_emotions_are_selected(
    source: Path, outputs: Outputs
) -> None:
    _correct(source, "row,emotion,corrected\n1,disgust,happy\n3,happy,disgust\n")
    outputs.ingest(source, emotions="angry,happy")
    assert outputs.faces.column("row").tolist() == [0, 1, 7, 10]
    assert outputs.faces.column("targets").tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,sad,angry", r"data row 1 \(from 0\) is disgust in the source, not sad: these are"),
        ("1,disgust,bored", "data row 0 .*, column corrected: 'bored'; expected one of angry"),
        ("1,none,angry", "data row 0 .*, column emotion: 'none'; expected one of angry"),
        ("0,angry,sad\n0,angry,happy", "data row 1 .*, column row: '0'; expected a whole number"),
        ("-1,sad,angry", "data row 0 .*, column row: '-1'; expected a whole number"),
        ("14,angry,sad", "column row: 14 is beyond the source's last data row, 13"),
    ],
)
def test_corrections_of_another_file_are_refused(
    source: Path, outputs: Outputs, text: str, message: str
) -> None:
    _correct(source, f"row,emotion,corrected\n{text}\n")
    with pytest.raises(InputError, match=rf"fer\.corrections\.csv: {message}"):
        outputs.ingest(source)


def test_corrections_of_keypoints_are_refused(tmp_path: Path, outputs: Outputs) -> None:
    source = write_keypoints(tmp_path / "fer.csv", keypoint_cells(4))
    _correct(source, "row,emotion,corrected\n0,sad,angry\n")
    with pytest.raises(InputError, match="corrects emotions, and the source has keypoints"):
        outputs.ingest(source, kind="keypoints")
