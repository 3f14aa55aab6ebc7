"""The step evaluate with a champion: a release scored on the same faces."""

import shutil
from pathlib import Path

import pytest

from emotion_ai.errors import InputError, VerificationError
from emotion_ai.faces.arrays import Faces

from support.evaluate_step import run
from support.gray_faces import expression_faces, expression_model, keypoint_faces, keypoint_model
from support.tiny_saved_model import LABELS, publish_tiny_release


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which release 1 is perfect and release 2 is one pixel off."""
    folder = tmp_path_factory.mktemp("releases")
    for shift in (0.0, 1.0):
        publish_tiny_release(folder / "registry", folder, shift, shift)
    return folder / "registry"


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
