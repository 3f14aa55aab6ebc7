"""The step evaluate with Keras models and faces artifacts."""

import re
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare

from support.evaluate_step import run
from support.gray_faces import COUNT, FIRST_ROW, expression_model, keypoint_faces, keypoint_model
from support.picture_folders import write_pictures
from support.tiny_saved_model import LABELS


def test_evaluate_accepts_a_good_pair_and_reports_every_split(tmp_path: Path) -> None:
    result, metrics, gate, page = run(tmp_path, gate={"expression": {"every_recall": 0.9}})
    assert result.accepted
    assert result.labels == list(LABELS)
    assert result.confusion == (6 * np.eye(7, dtype=int)).tolist()
    for split in ("Training", "PublicTest", "PrivateTest"):
        assert metrics[f"expression/{split}/accuracy"] == 1.0
        assert f"<td>{split}</td>" in page
    for split in ("train", "validation", "test"):
        assert metrics[f"keypoints/{split}/rmse_px"] < 1e-3
    assert metrics["expression/PrivateTest/baseline_accuracy"] == pytest.approx(1 / 7)
    # Brightness is (k + 1/2) / 7 in equal shares; the mean face misses x by its deviation, 2/7.
    assert metrics["keypoints/test/baseline_rmse_px"] == pytest.approx(2 / 7 / 2**0.5, abs=0.01)
    assert gate["outcome"] == "accepted"
    assert gate["metrics"] == metrics
    assert gate["champion"] is None
    assert "Accepted." in page
    assert "there is no champion to compare with." in page


def test_evaluate_rejects_a_bad_pair_and_shows_the_worst_faces(tmp_path: Path) -> None:
    result, metrics, gate, page = run(
        tmp_path,
        keypoint_model=keypoint_model(tmp_path, shift=5.0),
        expression_model=expression_model(tmp_path, labels=LABELS[::-1]),
    )
    assert not result.accepted
    assert metrics["keypoints/test/rmse_px"] == pytest.approx(5 / 2**0.5, rel=0.02)
    # Only the fourth of seven stays the same when the order is reversed.
    assert metrics["expression/PrivateTest/accuracy"] == pytest.approx(1 / 7)
    assert any(
        "no better than the mean face of the training split" in reason for reason in gate["reasons"]
    )
    assert "Rejected." in page
    shown = [f"row {FIRST_ROW + k}" for k in range(98, COUNT)]
    assert sum(row in page for row in shown) >= 12
    assert "true angry,\npredicted " in page
    assert "row 1000" not in page, "the faces shown are those of the test split"


def test_evaluate_names_the_worst_faces_of_a_folder_by_file(tmp_path: Path) -> None:
    folder, faces, prepared = (tmp_path / name for name in ("fer", "faces", "prepared"))
    names = write_pictures(folder, ("train", "validation", "test"), each=2)
    outputs = [str(tmp_path / name) for name in ("data.html", "statistics")]
    ingest(str(folder), "", "expression", "fer7", "", {}, str(faces), *outputs)
    prepare(str(faces), {}, str(prepared), str(tmp_path / "preview.html"))
    _, _, _, page = run(tmp_path, expression_faces=str(prepared))
    (files,) = re.findall(r"<p>Files in \S+/fer, line by line: (.*)\.</p>", page)
    shown = files.split(", ")
    assert len(shown) == 12
    assert set(shown) < {name for name in names if name.startswith("test/")}
    assert f'alt="{shown[0]}\n' in page


def test_evaluate_rejects_nan_predictions_with_reasons(tmp_path: Path) -> None:
    result, metrics, gate, page = run(
        tmp_path, keypoint_model=keypoint_model(tmp_path, shift=float("nan"))
    )
    assert not result.accepted
    assert metrics["keypoints/test/finite_share"] == 0.0
    assert "keypoints/test/rmse_px" not in metrics
    assert "share of faces with finite keypoints on test is 0.0 %" in gate["reasons"][0]
    assert "No face of test got a usable answer" in page


def test_evaluate_rejects_a_diverged_model(tmp_path: Path) -> None:
    result, metrics, _, _ = run(tmp_path, keypoint_model=keypoint_model(tmp_path, -3e38))
    assert not result.accepted
    assert metrics["keypoints/test/rmse_px"] == pytest.approx(3e38 / 2**0.5, rel=0.02)


def test_evaluate_rejects_faces_of_the_wrong_kind_and_invalid_settings(tmp_path: Path) -> None:
    faces = keypoint_faces(tmp_path)
    with pytest.raises(InputError, match="holds keypoints; expected expression"):
        run(tmp_path, keypoint_faces=faces, expression_faces=faces)
    with pytest.raises(InputError, match=r"gate\.expression\.accuracy"):
        run(
            tmp_path / "settings",
            keypoint_faces=faces,
            gate={"expression": {"accuracy": 60.0}},
            expression_faces=faces,
            keypoint_model="",
            expression_model="",
        )


def test_evaluate_reports_a_forced_acceptance(tmp_path: Path) -> None:
    result, _, gate, page = run(
        tmp_path, keypoint_model=keypoint_model(tmp_path, 5.0), force_accept="a demo <today>"
    )
    assert result.accepted
    assert gate["forced"] == "a demo <today>"
    assert "Accepted by force" in page
    assert "a demo &lt;today&gt;" in page


def test_evaluate_measures_corrupted_faces_where_a_floor_asks_for_it(tmp_path: Path) -> None:
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
    _, metrics, _, page = run(tmp_path / "without")
    assert not [name for name in metrics if "robustness" in name]
    assert "Corrupted faces" not in page
    floors = {"expression": {"robustness": 0.9}}
    result, metrics, gate, page = run(tmp_path / "with", gate=floors)
    # Emotions are told by brightness here: what changes it confuses this model, and noise does not.
    name = "expression/PrivateTest/robustness"
    assert metrics[f"{name}/too_bright"] < 0.6 < 0.9 < metrics[f"{name}/pixelated"]
    assert metrics[name] == pytest.approx(
        np.mean([value for key, value in metrics.items() if key.startswith(f"{name}/")])
    )
    assert not result.accepted
    assert "share of expression accuracy kept on corrupted faces" in gate["reasons"][0]
    assert "Corrupted faces (PrivateTest)" in page
    assert "side in shadow" in page
