"""The step evaluate with Keras models, faces artifacts and releases.

The faces are of one gray: the emotion is the brightness in sevenths, and every keypoint is at
(10 + brightness, 20), as `tiny_saved_model` predicts at shift 0.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest

from emotion_ai.errors import InputError, VerificationError
from emotion_ai.faces.arrays import TEST, TRAIN, VALIDATION, Faces, FacesInfo, FacesWriter, Rows
from emotion_ai.networks.inference import MODEL_FILE
from emotion_ai.steps.evaluate.run import Evaluation
from emotion_ai.steps.evaluate.run import run as evaluate
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare

from support.picture_folders import write_pictures
from support.tiny_saved_model import LABELS, publish_tiny_release

COUNT = 140
FIRST_ROW = 1000


def gray_faces(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [140, size, size], each of the 7 emotions 20 times, and their brightness."""
    brightness = np.tile((np.arange(7) + 0.5) / 7, COUNT // 7)
    levels = np.round(255 * brightness).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None], (COUNT, size, size)).copy(), levels / 255


def write_faces(path: Path, info: FacesInfo, images: np.ndarray, targets: np.ndarray) -> str:
    split = np.select(
        [np.arange(COUNT) < 70, np.arange(COUNT) < 98], [TRAIN, VALIDATION], TEST
    ).astype(np.uint8)
    rows = Rows(images, targets, split, FIRST_ROW + np.arange(COUNT), np.full(COUNT, -1))
    with FacesWriter(path, info) as writer:
        writer.append(rows)
    return str(path)


def keypoint_faces(folder: Path) -> str:
    images, brightness = gray_faces(96)
    targets = np.empty((COUNT, 15, 2), np.float32)
    targets[..., 0] = 10 + brightness[:, None]
    targets[..., 1] = 20
    targets[::3, 5] = np.nan
    info = FacesInfo(kind="keypoints", image_size=96, source="keypoints.csv", fingerprint="k")
    return write_faces(folder / "keypoint_faces", info, images, targets)


def expression_faces(folder: Path, labels: tuple[str, ...] = LABELS) -> str:
    images, _ = gray_faces(48)
    codes = np.array([labels.index(LABELS[k % 7]) for k in range(COUNT)], np.uint8)
    info = FacesInfo(
        kind="expression",
        label_set="fer7",
        labels=labels,
        image_size=48,
        source="fer2013.csv",
        fingerprint="e",
        split_names=("Training", "PublicTest", "PrivateTest"),
    )
    return write_faces(folder / "expression_faces", info, images, codes)


def save_linear(folder: Path, size: int, kernel: np.ndarray, bias: np.ndarray, shape: tuple) -> str:
    """Save a Keras model artifact with the outputs kernel * brightness + bias."""
    pixels = keras.Input((size, size, 1))
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    dense = keras.layers.Dense(kernel.size)
    network = keras.Model(pixels, keras.layers.Reshape(shape)(dense(mean)))
    dense.set_weights([kernel.reshape(1, -1), bias])
    folder.mkdir()
    network.save(folder / MODEL_FILE)
    return str(folder)


def keypoint_model(folder: Path, shift: float = 0.0) -> str:
    """A keypoint model that predicts (10 + brightness + shift, 20)."""
    kernel = np.tile(np.float32([1, 0]), 15)
    bias = np.tile(np.float32([10 + shift, 20]), 15)
    return save_linear(folder / "keypoint_model", 96, kernel, bias, (15, 2))


def expression_model(folder: Path, labels: tuple[str, ...] = LABELS, sharp: float = 100.0) -> str:
    """An expression model with logits -sharp (brightness - centre)^2, up to a constant."""
    centre = np.float32([(LABELS.index(name) + 0.5) / 7 for name in labels])
    kernel, bias = 2 * sharp * centre, -sharp * centre**2
    return save_linear(folder / "expression_model", 48, kernel, bias, (len(labels),))


def read_strict_json(path: Path) -> Any:
    def reject(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=reject)


def run(folder: Path, **changed: Any) -> tuple[Evaluation, dict[str, float], dict, str]:
    """Evaluate a perfect pair with some arguments changed; return metrics, gate report and page."""
    names = ("metrics.json", "confusion.json", "gate.json", "report.html")
    paths = {name: folder / name for name in names}
    arguments: dict[str, Any] = {
        "registry": str(folder / "registry"),
        "champion": "",
        "gate": {},
        "force_accept": "",
    } | changed
    makers = (keypoint_faces, expression_faces, keypoint_model, expression_model)
    for maker in makers:
        if maker.__name__ not in arguments:
            arguments[maker.__name__] = maker(folder)
    result = evaluate(
        **arguments,
        metrics_path=str(paths["metrics.json"]),
        confusion_path=str(paths["confusion.json"]),
        gate_report_path=str(paths["gate.json"]),
        report_path=str(paths["report.html"]),
    )
    return (
        result,
        read_strict_json(paths["metrics.json"]),
        read_strict_json(paths["gate.json"]),
        paths["report.html"].read_text(),
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which release 1 is perfect and release 2 is one pixel off."""
    folder = tmp_path_factory.mktemp("releases")
    for shift in (0.0, 1.0):
        publish_tiny_release(folder / "registry", folder, shift, shift)
    return folder / "registry"


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
    assert "First run: there is no champion" in page


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
    assert any("no better than the mean face of train" in reason for reason in gate["reasons"])
    assert "Rejected." in page
    shown = [f"row {FIRST_ROW + k}" for k in range(98, COUNT)]
    assert sum(row in page for row in shown) >= 12
    assert "angry, said" in page
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
    assert "keypoint answer is a number on test is 0.0 %" in gate["reasons"][0]
    assert "No face of test got a usable answer" in page


def test_evaluate_rejects_a_diverged_model(tmp_path: Path) -> None:
    result, metrics, _, _ = run(tmp_path, keypoint_model=keypoint_model(tmp_path, -3e38))
    assert not result.accepted
    assert metrics["keypoints/test/rmse_px"] == pytest.approx(3e38 / 2**0.5, rel=0.02)


def test_evaluate_scores_the_champion_on_the_same_faces(tmp_path: Path, registry: Path) -> None:
    keypoints, expression = keypoint_faces(tmp_path), expression_faces(tmp_path)
    network = expression_model(tmp_path)
    common = {
        "registry": str(registry),
        "keypoint_faces": keypoints,
        "expression_faces": expression,
        "expression_model": network,
    }
    slightly_off = keypoint_model(tmp_path, shift=0.15)
    result, _, gate, page = run(tmp_path, **common, keypoint_model=slightly_off, champion="1")
    assert not result.accepted
    assert gate["champion"] == 1
    assert gate["reasons"][0] == (
        "keypoint RMSE on test is 0.11 px, champion 1 scores 0.00 px on the same faces: "
        "a loss of 0.11 px, more than the tolerance of 0.05 px"
    )
    assert "champion on PrivateTest" in page
    result, _, gate, _ = run(tmp_path, **common, keypoint_model=slightly_off, champion="2")
    assert result.accepted
    assert (
        "keypoint RMSE on test is 0.11 px, champion 2 scores 0.71 px on the same faces"
        in gate["reasons"]
    )


def test_evaluate_compares_a_champion_with_emotions_in_another_order(
    tmp_path: Path, registry: Path
) -> None:
    reverse = LABELS[::-1]
    _, _, gate, _ = run(
        tmp_path,
        registry=str(registry),
        champion="1",
        expression_faces=expression_faces(tmp_path, reverse),
        expression_model=expression_model(tmp_path, reverse, sharp=-100.0),
    )
    assert any(
        "champion 1 scores 100.0 % on the same faces" in reason for reason in gate["reasons"]
    )


def test_evaluate_compares_only_keypoints_of_a_champion_with_other_emotions(
    tmp_path: Path, registry: Path
) -> None:
    others = (*LABELS[:6], "contentment")
    labels_on_disk = expression_faces(tmp_path)
    info = Path(labels_on_disk, "faces.json")
    info.write_text(info.read_text().replace('"neutral"', '"contentment"'))
    assert Faces(labels_on_disk).info.labels == others
    result, _, gate, _ = run(
        tmp_path, registry=str(registry), champion="1", expression_faces=labels_on_disk
    )
    assert result.accepted
    compared = [check["name"] for check in gate["checks"] if check["comparison"] == "champion"]
    assert compared == ["keypoints/test/rmse_px"]
    assert any("champion 1 knows other emotions" in reason for reason in gate["reasons"])


def test_evaluate_downloads_a_champion_from_cloud_storage(
    tmp_path: Path, registry: Path, cloud_storage: str
) -> None:
    from emotion_ai.registry.publishing import publish
    from emotion_ai.registry.releases import INFO_PATH, read_release

    source = registry / "2"
    files = {
        str(path.relative_to(source)): path
        for path in source.rglob("*")
        if path.is_file() and str(path.relative_to(source)) != INFO_PATH
    }
    bucket = f"{cloud_storage}/evaluated"
    version, _ = publish(bucket, files, read_release(str(registry), 2))
    _, _, gate, _ = run(tmp_path, registry=bucket, champion=str(version))
    assert any(f"champion {version} scores 0.71 px" in reason for reason in gate["reasons"])


@pytest.mark.parametrize(
    ("champion", "message"), [("7", "no release 7"), ("latest", "expected the number of a release")]
)
def test_evaluate_rejects_a_missing_champion(
    tmp_path: Path, registry: Path, champion: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, registry=str(registry), champion=champion)
    assert not (tmp_path / "gate.json").exists()


def test_evaluate_rejects_an_altered_champion(tmp_path: Path, registry: Path) -> None:
    copy = tmp_path / "registry"
    shutil.copytree(registry, copy)
    with (copy / "1" / "saved_model.pb").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(VerificationError, match=r"saved_model\.pb: was altered"):
        run(tmp_path, champion="1")


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
