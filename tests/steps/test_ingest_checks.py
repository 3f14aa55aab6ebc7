"""The step ingest: data checks, their tolerances and findings."""

from pathlib import Path

import pytest

from emotion_ai.errors import InputError

from support.face_csv import (
    keypoint_cells,
    pixel_text,
    random_images,
    write_expression,
    write_keypoints,
)
from support.ingest_step import EVERY_CODE, LENIENT, Outputs


def test_ingest_leaves_out_and_lists_bad_rows_within_the_tolerance(
    tmp_path: Path, outputs: Outputs
) -> None:
    emotions: list[object] = EVERY_CODE * 3
    pixels = [pixel_text(image) for image in random_images(21, 48)]
    emotions[8] = 9
    pixels[4] = pixels[4] + " 12"
    pixels[5] = pixels[5].replace(" ", " x", 1)
    outputs.ingest(write_expression(tmp_path / "fer.csv", emotions, pixels=pixels), checks=LENIENT)
    assert outputs.faces.column("row").tolist() == [k for k in range(21) if k not in (4, 5, 8)]
    assert outputs.statistics["rows_left_out"] == 3
    assert outputs.result("pixel_count")["rows"] == [4]
    assert outputs.result("unknown_label")["verdict"] == "warning"
    for cell in ("pixel 1 is", "2305 pixels, expected 2304", "<td>10</td>", "unknown_label"):
        assert cell in outputs.report


def test_ingest_refuses_bad_rows_over_the_tolerance(tmp_path: Path, outputs: Outputs) -> None:
    emotions: list[object] = EVERY_CODE * 3
    emotions[8] = emotions[9] = 9
    path = write_expression(tmp_path / "fer.csv", emotions)
    with pytest.raises(InputError) as refusal:
        outputs.ingest(path)
    assert str(refusal.value) == (
        f"{path}: unknown emotion: rows 2, share 9.52%, expected at most 0.10% (data check "
        "unknown_label); the first is data row 8 counted from 0 (line 10), column emotion: '9', "
        "expected an emotion code 0-6"
    )
    assert outputs.is_refused()
    assert "is refused: unknown_label" in outputs.report
    assert outputs.result("unknown_label")["verdict"] == "stop"


def test_ingest_writes_a_report_for_a_file_without_good_rows(
    tmp_path: Path, outputs: Outputs
) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE, pixels=["1 2 3"] * 7)
    with pytest.raises(InputError, match="3 pixels, expected 2304"):
        outputs.ingest(path)
    assert "is refused" in outputs.report


def test_ingest_finds_constant_and_duplicate_images(tmp_path: Path, outputs: Outputs) -> None:
    pixels = [pixel_text(image) for image in random_images(14, 48)]
    pixels[3] = " ".join(["7"] * 2304)
    pixels[10] = pixels[2]
    pixels[13] = pixels[0]
    emotions = [*EVERY_CODE, 0, 1, 3, 2, 4, 5, 6]
    usage = ["Training"] * 7 + ["PublicTest"] * 7
    path = write_expression(tmp_path / "fer.csv", emotions, usage, pixels)
    shares = ("constant_images", "duplicates", "contradicting_duplicates", "split_duplicates")
    outputs.ingest(path, checks=dict.fromkeys(shares, 0.3))
    assert len(outputs.faces) == 14
    results = {check: outputs.result(check) for check in shares}
    assert results["constant_images"]["rows"] == [3]
    assert results["duplicates"]["rows"] == [10, 13]
    assert results["contradicting_duplicates"]["rows"] == [0, 13]
    assert results["split_duplicates"]["rows"] == [10, 13]
    assert results["split_duplicates"]["value"] == pytest.approx(2 / 7)
    for check in shares:
        assert results[check]["verdict"] == "warning"
        with pytest.raises(InputError, match=rf"data check {check}\); the first are data rows"):
            outputs.ingest(path, checks=dict.fromkeys(shares, 0.3) | {check: 0.05})


def test_ingest_refuses_unbalanced_emotions(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE + [3] * 20)
    outputs.ingest(path)
    assert outputs.result("class_balance")["verdict"] == "warning"
    with pytest.raises(InputError, match="class_balance"):
        outputs.ingest(path, checks={"class_balance": 0.1})


def test_ingest_refuses_a_missing_emotion(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", [0, 1, 2, 3, 5, 6] * 3)
    with pytest.raises(InputError, match=r"class_balance.*0 sad"):
        outputs.ingest(path)


@pytest.mark.parametrize(
    ("scale", "shift", "found"),
    [
        pytest.param(1 / 96, 0, ", as if scaled to 0-1; expected pixels of the 96x96", id="unit"),
        pytest.param(40 / 96, 0, "the middle of a face; expected pixels", id="smaller-frame"),
        pytest.param(
            1 / 48, -1, r"keypoint_outside\).*column \w+: '-0\.\d+', expected", id="signed"
        ),
        pytest.param(
            224 / 96, 0, r"keypoint_outside\).*column \w+: '\d+\.\d+', exp", id="larger-frame"
        ),
    ],
)
def test_ingest_refuses_keypoints_of_another_scale(
    tmp_path: Path, outputs: Outputs, scale: float, shift: float, found: str
) -> None:
    cells = [[f"{float(cell) * scale + shift:.5f}" for cell in row] for row in keypoint_cells(9)]
    path = write_keypoints(tmp_path / "keypoints.csv", cells)
    with pytest.raises(InputError, match=found) as refusal:
        outputs.ingest(path, kind="keypoints")
    assert str(refusal.value).startswith(f"{path}: ")
    assert "column" in str(refusal.value)
    assert outputs.is_refused()


def test_ingest_takes_a_scale_of_keypoints_that_is_meant(tmp_path: Path, outputs: Outputs) -> None:
    cells = [[f"{float(cell) * 0.4:.3f}" for cell in row] for row in keypoint_cells(9)]
    path = write_keypoints(tmp_path / "keypoints.csv", cells)
    outputs.ingest(path, kind="keypoints", checks={"keypoint_middle": 0.5})
    assert outputs.result("keypoint_middle")["verdict"] == "ok"
    assert len(outputs.faces) == 9


def test_ingest_accepts_whole_floats_for_ints(tmp_path: Path, outputs: Outputs) -> None:
    path = write_expression(tmp_path / "fer.csv", EVERY_CODE)
    outputs.ingest(path, checks={"max_rows": 7.0, "min_keypoints": 3.0})
    with pytest.raises(InputError, match="more than 6 rows"):
        outputs.ingest(path, checks={"max_rows": 6.0})
