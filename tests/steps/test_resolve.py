"""The step resolve: fingerprints, the champion, initial weights and teachers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.networks.answers import AnswersInfo, Teacher, pack_answers
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.runs import read_records
from emotion_ai.sources.uri import fingerprint
from emotion_ai.steps.resolve.run import run as resolve

from support.face_csv import keypoint_cells, write_expression, write_keypoints
from support.network_releases import publish_networks

# Trainings of the shapes of the networks to start from.
SHAPES: dict[str, dict[str, Any]] = {
    "scratch": {},
    "champion": {
        "keypoint_training": {"widths": [8, 16]},
        "expression_training": {"widths": [8, 16]},
    },
    "pretrained": {
        "keypoint_training": {"widths": [16, 48, 96, 192, 192]},
        "expression_training": {"widths": [32, 64, 128, 256], "blocks": 2},
    },
}


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    keypoints = write_keypoints(tmp_path / "training.csv", keypoint_cells(2))
    return str(keypoints), str(write_expression(tmp_path / "fer.csv", [0, 1]))


def test_resolve_records_sources_and_settings(tmp_path: Path, sources: tuple[str, str]) -> None:
    registry = str(tmp_path / "registry")
    resolved = resolve(*sources, registry, "run-1", {"preset": "quick"})
    assert resolved.keypoints_fingerprint == fingerprint(sources[0])
    assert resolved.expression_fingerprint == fingerprint(sources[1])
    assert resolved.champion == ""
    record = read_records(registry, "run-1")["resolve"]
    assert record["keypoints"] == sources[0]
    assert record["expression_fingerprint"] == resolved.expression_fingerprint
    assert record["settings"] == {"preset": "quick"}
    assert record["started"].endswith("+00:00")
    assert record["adopted"] == ""


def test_resolve_returns_the_champion(tmp_path: Path, sources: tuple[str, str]) -> None:
    registry = str(tmp_path / "registry")
    write_champion(registry, publish_networks(tmp_path / "files", registry))
    assert resolve(*sources, registry, "run-1", {}).champion == "1"


def test_resolve_returns_the_initial_weights(tmp_path: Path, sources: tuple[str, str]) -> None:
    registry = str(tmp_path / "registry")

    def start(init: str) -> str:
        return resolve(*sources, registry, "run-1", SHAPES[init] | {"init": init}).start

    assert (start("scratch"), start("pretrained")) == ("", "pretrained")
    assert start("champion") == "", "before the first rollout there is none"
    write_champion(registry, publish_networks(tmp_path / "files", registry))
    assert start("champion") == f"{registry}/1"
    with pytest.raises(InputError, match="'warm': expected one of scratch, pretrained, champion"):
        resolve(*sources, registry, "run-1", {"init": "warm"})


def test_resolve_returns_the_teachers(tmp_path: Path, sources: tuple[str, str]) -> None:
    registry = str(tmp_path / "registry")
    for widths in ((8,), (16,)):
        publish_networks(tmp_path / f"files-{widths}", registry, widths=widths)

    def teachers(*names: float | str) -> list[str]:
        return resolve(*sources, registry, "run-1", {"teachers": [*names]}).teachers

    assert teachers() == teachers("champion") == [], "before the first rollout there is none"
    write_champion(registry, 2)
    # KFP turns every number of a list into a float.
    expected = [f"{registry}/1", f"{registry}/2", "pretrained"]
    assert teachers(1.0, "champion", "pretrained") == expected
    assert teachers("champion", " 2", 2.0) == [f"{registry}/2"]
    for unknown in ("7", "scratch"):
        expected = (
            f"pretrained, champion, an answer bank's .npz or release numbers of {registry} "
            "(it has 1, 2)"
        )
        with pytest.raises(InputError, match=re.escape(f"'{unknown}': expected {expected}")):
            teachers("1", unknown)


def write_bank(path: Path, settings: TrainingSettings, augmentation: dict[str, float]) -> str:
    info = AnswersInfo(
        labels=LABEL_SETS["fer7"],
        faces="f" * 64,
        augmentation=augmentation,
        seed=1,
        teachers=(Teacher(name="others", sha256="a" * 64, share=1),),
        **settings.model_dump(include={"batch_size", "mixup", "cutmix"}),
    )
    path.write_bytes(pack_answers(info, np.full((1, 2, 7), 1 / 7)))
    return str(path)


def test_resolve_returns_a_bank_of_answers_with_its_digest(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    policy = AugmentationPolicy().model_dump()
    bank = write_bank(tmp_path / "bank.npz", TrainingSettings(), policy)

    def teachers(*names: str, **settings: Any) -> list[str]:
        return resolve(
            *sources, str(tmp_path / "registry"), "run-1", {"teachers": [*names], **settings}
        ).teachers

    assert teachers(bank) == [f"{bank}@sha256:{storage.sha256(bank)}"]
    with pytest.raises(InputError, match=r"bank\.npz: answers for seed 1; this training has 2"):
        teachers(bank, seed=2.0)
    with pytest.raises(InputError, match=r"answers for augmentation .* this training has "):
        teachers(bank, expression_augmentation={"scale": 0.35})
    with pytest.raises(InputError, match="answers for batch_size 128; this training has 64"):
        teachers(bank, expression_training={"batch_size": 64.0})
    with pytest.raises(InputError, match="a bank of answers teaches alone"):
        teachers(bank, "pretrained")
    with pytest.raises(InputError, match=r"none\.npz"):
        teachers(str(tmp_path / "none.npz"))


def test_resolve_records_settings_as_they_were_given_to_kfp(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    settings = {"seed": 7.0, "gate": {"keypoints": {"rmse_px": 2.5}}, "teachers": []}
    resolve(*sources, str(tmp_path), "run-1", settings)
    record = read_records(str(tmp_path), "run-1")["resolve"]
    assert record["settings"] == settings
    assert isinstance(record["settings"]["seed"], int)


def test_resolve_refuses_a_setting_of_the_rollout_before_anything_is_trained(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    with pytest.raises(InputError, match=r"setting rollout_settings\.bake is unknown"):
        resolve(*sources, str(tmp_path), "run-1", {"rollout_settings": {"bake": 5.0}})


def test_resolve_looks_at_the_target_before_anything_is_read_or_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_file = str(tmp_path / "kubeconfig")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", no_file)
    missing = ("nowhere.csv", "nowhere.csv", str(tmp_path), "run-1")
    with pytest.raises(InputError, match="no cluster: this is no pod"):
        resolve(*missing, {"target": "kubernetes"})
    with pytest.raises(InputError, match="target 'moon' is unknown; expected local, kubernetes"):
        resolve(*missing, {"target": "moon"})


def test_fingerprint_ignores_the_name(tmp_path: Path) -> None:
    path = write_expression(tmp_path / "fer.csv", [0, 1])
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())
    assert fingerprint(str(copy)) == fingerprint(str(path))
    copy.write_bytes(path.read_bytes().replace(b" 7 ", b" 8 ", 1))
    assert fingerprint(str(copy)) != fingerprint(str(path))


@pytest.mark.parametrize("name", ["fer.csv", "fer.csv.gz", "fer.csv.zip", "fer.zip"])
def test_fingerprint_covers_the_subjects_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"faces")
    without_subjects = fingerprint(str(path))
    subjects = tmp_path / "fer.subjects.csv"
    subjects.write_text("row,subject\n0,1\n")
    first = fingerprint(str(path))
    subjects.write_text("row,subject\n0,2\n")
    assert len({without_subjects, first, fingerprint(str(path))}) == 3


def test_fingerprint_of_a_sample_covers_its_parameters() -> None:
    same = {fingerprint("sample://50?seed=0"), fingerprint("sample://50")}
    assert len(same) == 1
    others = {fingerprint("sample://50?seed=1"), fingerprint("sample://51?seed=0")}
    assert len(same | others) == 3


def test_fingerprint_is_the_same_in_cloud_storage(
    tmp_path: Path, sources: tuple[str, str], cloud_storage: str
) -> None:
    uri = storage.join(cloud_storage, tmp_path.name, "fer.csv")
    storage.write_bytes(uri, Path(sources[1]).read_bytes())
    assert fingerprint(uri) == fingerprint(sources[1])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "nowhere.csv: no such file"),
        ("s3://bucket/fer.csv", "scheme s3://"),
        ("sample://many", "expected sample://N[?]seed=S"),
        (" ", "a source is empty"),
    ],
)
def test_resolve_rejects_a_missing_source(
    tmp_path: Path, sources: tuple[str, str], source: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        resolve(sources[0], source, str(tmp_path / "registry"), "run-1", {})


def test_resolve_rejects_a_folder_without_pictures(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}: "):
        resolve(str(tmp_path), sources[1], str(tmp_path / "registry"), "run-1", {})
