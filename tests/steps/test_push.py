"""The step push: the release it publishes, its model card, and artifacts that it rejects."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo, FacesWriter, Rows
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.digest import CONTENT_PATH
from emotion_ai.registry.releases import list_versions, read_release, verify_release
from emotion_ai.registry.runs import read_records
from emotion_ai.steps.push.run import run as push

from support.cluster_objects import cluster_of, deployment, journal_of, lease, replica_set

Push = Callable[..., str]

_COUNTS = {"train": 3, "validation": 2, "test": 1, "dropped_train_copy": 4}
_TRAINING = {
    "parameters": 1234567,
    "epochs": 30,
    "best_epoch": 28,
    "seconds": 600.0,
    "start": "",
    "seed": 5,
    "settings": {"epochs": 40, "widths": [24, 48]},
    "backend": "tensorflow",
    "machine": "2 cores of a processor",
}
_CONTENT = {
    "label_set": "fer7",
    "labels": ["happy", "sad"],
    "signatures": {"serving_default": {"images": "uint8 [n, 96, 96, 1]"}},
    "weights_sha256": "0" * 64,
    "packages": {"tensorflow": "2.20.0", "keras": "3.10.0"},
    "training": {"expression": _TRAINING},
}
_GATE = {
    "outcome": "accepted",
    "forced": "",
    "reasons": ["every floor is kept"],
    "checks": [],
    "champion": None,
    "metrics": {"expression/PublicTest/accuracy": 0.61234, "expression/ece": float("nan")},
}


def _write_faces(path: Path, kind: str, source: str) -> None:
    targets = np.zeros((3, 15, 2), np.float32) if kind == "keypoints" else np.zeros(3, np.uint8)
    info = FacesInfo(
        kind=kind, image_size=8, source=source, fingerprint=kind[0] * 64, counts=_COUNTS
    )
    with FacesWriter(path, info) as writer:
        index = np.arange(3)
        writer.append(
            Rows(np.zeros((3, 8, 8), np.uint8), targets, index.astype(np.uint8), index, index)
        )


@pytest.fixture
def push_model(tmp_path: Path) -> Push:
    """Push a SavedModel with these weights; `content` and `gate` replace parts of the inputs."""
    work = tmp_path / "work"
    _write_faces(work / "keypoints", "keypoints", "training.csv")
    _write_faces(work / "expression", "expression", "fer2013.csv")
    (work / "warmup").write_bytes(b"golden requests")

    def run(weights: str = "0" * 64, **changes: object) -> str:
        model = work / "saved_model"
        (model / "variables").mkdir(parents=True, exist_ok=True)
        (model / "assets.extra").mkdir(exist_ok=True)
        (model / "saved_model.pb").write_bytes(b"graph")
        (model / "variables" / "variables.index").write_bytes(weights.encode())
        content = _CONTENT | {"weights_sha256": weights} | changes.pop("content", {})
        (model / CONTENT_PATH).write_text(json.dumps(content))
        (work / "gate").write_text(json.dumps(_GATE | changes.pop("gate", {})))
        paths = [str(work / name) for name in ("saved_model", "warmup", "gate")]
        paths += [str(work / name) for name in ("keypoints", "expression")]
        return push(*paths, str(tmp_path / "registry"), "run-1", "r1", **changes)

    return run


def test_push_publishes_the_model_with_its_origin(push_model: Push, tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    write_champion(registry, 7)
    assert push_model() == "1"
    folder = tmp_path / "registry" / "1"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "assets.extra/model_card.md",
        "assets.extra/release.json",
        "assets.extra/tf_serving_warmup_requests",
        "saved_model.pb",
        "variables/variables.index",
    ]
    verify_release(registry, 1)
    info = read_release(registry, 1)
    assert info.parent == 7
    assert info.revision == "r1"
    assert info.run_id == "run-1"
    assert info.data["expression"].model_dump() == {
        "source": "fer2013.csv",
        "fingerprint": "e" * 64,
        "rows": 3,
        "counts": _COUNTS,
    }
    assert info.metrics == {"expression/PublicTest/accuracy": 0.61234, "expression/ece": None}
    assert info.gate.reasons == ("every floor is kept",)
    assert info.packages["tensorflow"] == "2.20.0"
    assert info.labels == ("happy", "sad")
    card = (folder / "assets.extra" / "model_card.md").read_text()
    assert "| PublicTest | not measured | 0.612 (not measured - not measured) |" in card
    assert "nan" not in card
    assert "| expression | `fer2013.csv` | 3 | 3 | 2 | 1 | `eeeeeeeeeeeeeeee` |" in card
    assert "- expression: 4 rows, train copy" in card
    assert '- expression, seed 5: `{"epochs": 40, "widths": [24, 48]}`' in card
    assert "| 1,234,567 | 30 (28) | 10 | random weights | the labels alone | tensorflow |" in card
    assert "- every floor is kept" in card
    assert "- code revision `r1`" in card
    assert "- packages: keras 3.10.0, tensorflow 2.20.0\n" in card
    assert "## Licence of the weights\n\nNot stated. Who trained" in card
    assert "prohibited to infer emotions of people at work or in education" in card


def test_card_has_no_markup_of_others(push_model: Push, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>\n\n# Accepted\n| a | [b](http://c) `d`"
    shown = r"&lt;img src=x onerror=alert(1)&gt; \# Accepted \| a \| \[b\](http://c) \`d\`"
    content = {"labels": [evil, "sad"], "label_set": evil, "packages": {evil: evil}}
    push_model(gate={"reasons": [evil], "forced": evil}, content=content)
    card = (tmp_path / "registry/1/assets.extra/model_card.md").read_text()
    assert "<img" not in card
    assert "\n# Accepted" not in card
    assert f"- {shown}\n" in card
    assert f"{shown}, sad\n(label set {shown})" in card
    assert f"- packages: {shown} {shown}\n" in card


def test_push_says_what_the_networks_know_from_others(push_model: Push, tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    assert push_model() == "1"
    assert b'"seen"' not in (tmp_path / "registry/1/assets.extra/release.json").read_bytes()
    card = (tmp_path / "registry/1/assets.extra/model_card.md").read_text()
    assert "started from others" not in card
    training = _TRAINING | {"start": f"{registry}/1", "teachers": ["pretrained"]}
    assert push_model("1" * 64, content={"training": {"expression": training}}) == "2"
    seen = read_release(registry, 2).seen
    assert [(each.source, each.rows, each.through) for each in seen] == [
        ("training.csv", 3, "release 1"),
        ("fer2013.csv", 3, "release 1"),
        ("pretrained", 0, "pretrained"),
    ]
    card = (tmp_path / "registry/2/assets.extra/model_card.md").read_text()
    assert "Its networks started from others, or learnt from them, which had seen" in card
    assert "| `fer2013.csv` | 3 | release 1 | `eeeeeeeeeeeeeeee` |" in card
    assert "| `pretrained` | not known | pretrained | `not known` |" in card
    assert "\n\nNo two splits share" in card


def test_push_publishes_the_lite_model_with_its_scores(push_model: Push, tmp_path: Path) -> None:
    model = tmp_path / "work" / "saved_model" / "model.tflite"
    model.parent.mkdir()
    model.write_bytes(b"eight bits")
    lite = {
        "weights": "int8",
        "largest_difference": 0.05,
        "keypoints": {"rows": 600.0, "rmse_px": 1.9229, "rmse_px_saved_model": 1.9217},
        "expression": {"rows": 4000.0, "accuracy": 0.65625, "accuracy_saved_model": 0.65725},
    }
    push_model(content={"lite": lite})
    info = read_release(str(tmp_path / "registry"), 1)
    assert info.lite == lite
    assert info.files["model.tflite"].size == len(b"eight bits")
    card = (tmp_path / "registry" / "1" / "assets.extra" / "model_card.md").read_text()
    assert "with weights of int8" in card
    assert "\n| expression, 4000 faces | accuracy | 0.6573 | 0.6562 |\n" in card
    assert "\n| keypoints, 600 faces | rmse_px | 1.922 | 1.923 |\n" in card
    # The scores of model.tflite are not part of the content.
    assert push_model() == "1"


def test_push_publishes_the_same_content_once(push_model: Push, tmp_path: Path) -> None:
    assert [push_model(), push_model(), push_model("1" * 64), push_model()] == ["1", "1", "2", "3"]
    record = read_records(str(tmp_path / "registry"), "run-1")["push"]
    assert record["version"] == 3
    assert record["new"] is True
    push_model()
    assert read_records(str(tmp_path / "registry"), "run-1")["push"]["new"] is False


def test_push_records_the_reason_of_a_forced_release(push_model: Push, tmp_path: Path) -> None:
    push_model(gate={"forced": "a demonstration <tomorrow>"})
    assert read_release(str(tmp_path / "registry"), 1).gate.forced == "a demonstration <tomorrow>"
    card = (tmp_path / "registry" / "1" / "assets.extra" / "model_card.md").read_text()
    assert "overruled by hand: a demonstration &lt;tomorrow&gt;" in card


def test_push_keeps_the_champion_and_its_parent(push_model: Push, tmp_path: Path) -> None:
    registry = str(tmp_path / "registry")
    push_model("a" * 64)
    write_champion(registry, 1)
    push_model("b" * 64)
    write_champion(registry, 2)
    for weights in "cdef":
        push_model(weights * 64, keep=2)
    assert list_versions(registry) == [1, 2, 5, 6]
    assert read_records(registry, "run-1")["push"]["removed"] == [4]


def test_push_removes_nothing_when_the_cluster_cannot_be_asked(
    push_model: Push,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    no_file = str(tmp_path / "kubeconfig")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", no_file)
    registry = str(tmp_path / "registry")
    for weights in "abcd":
        push_model(weights * 64, keep=2, target="kubernetes")
    assert list_versions(registry) == [1, 2, 3, 4]
    assert "it cannot be asked which releases the servers need, so none" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"rollout_settings\.bake is unknown"):
        push_model("e" * 64, target="kubernetes", settings={"bake": 5.0})
    assert list_versions(registry) == [1, 2, 3, 4]


def test_push_keeps_what_the_cluster_names(
    push_model: Push, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for weights in "abcde":
        push_model(weights * 64)
    cluster = cluster_of(
        deployments=[deployment(1, 2)],
        replicasets=[replica_set(3, 1, 0), replica_set(1, 2, 2)],
        leases=[lease(journal_of(1))],
    )
    monkeypatch.setattr("emotion_ai.rollouts.cluster.adoption.connect", lambda _: cluster)
    push_model("f" * 64, keep=2, target="kubernetes")
    assert list_versions(str(tmp_path / "registry")) == [1, 3, 5, 6]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gate": {"outcome": "rejected"}}, "gate: not an accepting gate report"),
        ({"content": {"weights_sha256": None}}, r"content\.json: not the content that combine"),
    ],
)
def test_push_rejects_invalid_artifacts(
    push_model: Push, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        push_model(**changes)
    assert list_versions(str(tmp_path / "registry")) == []
    assert read_records(str(tmp_path / "registry"), "run-1") == {}
