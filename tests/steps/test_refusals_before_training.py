"""What would make a later step fail is refused by the first one, and by `emotion-ai run` itself."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emotion_ai import storage
from emotion_ai.errors import InputError, Unavailable, VerificationError
from emotion_ai.faces.kinds import EXPRESSION
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.networks.weights import release_path
from emotion_ai.registry.champion import write_champion
from emotion_ai.registry.runs import read_records
from emotion_ai.registry.writer import check_writable
from emotion_ai.steps.resolve.run import run as resolve

from support.command_line import assert_refused, emotion_ai
from support.face_csv import keypoint_cells, write_expression, write_keypoints
from support.fake_prediction_server import fake_prediction_server
from support.network_releases import publish_networks

SHAPES = {
    "keypoint_training": {"widths": [8.0, 16.0], "blocks": 1.0},
    "expression_training": {"widths": [8.0, 16.0], "blocks": 1.0},
}
NOBODY = 65534


@pytest.fixture
def sources(tmp_path: Path) -> tuple[str, str]:
    keypoints = write_keypoints(tmp_path / "training.csv", keypoint_cells(2))
    return str(keypoints), str(write_expression(tmp_path / "fer.csv", [0, 1]))


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"label_set": "fer8"}, "label set 'fer8' is unknown; expected one of fer7, course5"),
    ({"emotions": "happy,hapy"}, "emotions: 'hapy' is not in label set fer7"),
    ({"emotions": "happy"}, "emotions: at least two are needed"),
    ({"checks": {"max_rows": 0.0}}, "setting checks.max_rows = 0.0: expected at least 1"),
    ({"checks": {"duplicate": 0.1}}, "setting checks.duplicate is unknown"),
    ({"keypoint_augmentation": {"mirror": 2.0}}, "setting keypoint_augmentation.mirror = 2"),
    ({"expression_augmentation": {"scale": 1.0}}, "setting expression_augmentation.scale = 1"),
    ({"keypoint_training": {"epochs": -1.0}}, "setting keypoint_training.epochs = -1"),
    ({"keypoint_training": {"epochs": 0.0}}, "keypoints.epochs = 0: there are no weights to take"),
    ({"keypoint_training": {"mixup": 0.4}}, "setting keypoint_training.mixup = 0.4: keypoints can"),
    ({"keypoint_training": {"cutmix": 0.5}}, "setting keypoint_training.cutmix = 0.5"),
    ({"expression_training": {"precision": "half"}}, "expected auto, float32 or bfloat16"),
    (
        {"expression_training": {"distillation": 0.0}, "teachers": [1.0, "champion"]},
        "expression_training.distillation = 0: the teachers 1, champion would teach nothing",
    ),
    ({"gate": {"expression": {"acuracy": 0.5}}}, "setting gate.expression.acuracy is unknown"),
    ({"gate": {"expression": {"recall": {"hapy": 0.5}}}}, "expected an emotion: one of angry"),
    ({"validation": {"tolerance": -1.0}}, "setting validation.tolerance = -1"),
    ({"keep": 0.0}, "setting keep = 0: expected at least 1"),
    ({"keep": 2.5}, "setting keep = 2.5: expected a whole number"),
    ({"init": "warm"}, "init 'warm': expected one of scratch, pretrained, champion"),
    ({"target": "moon"}, "target 'moon' is unknown"),
    ({"server": "  "}, "setting server is empty: target local needs HOST:PORT"),
    ({"server": "127.0.0.1:port"}, "127.0.0.1:port"),
]


@pytest.mark.parametrize(
    ("settings", "message"),
    SETTINGS,
    ids=[f"{k} {next(iter(s))}" for k, (s, _) in enumerate(SETTINGS)],
)
def test_settings_of_all_steps_are_refused_by_the_first(
    tmp_path: Path, sources: tuple[str, str], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refusal:
        resolve(*sources, str(tmp_path / "registry"), "run-1", settings)
    assert message in str(refusal.value)
    assert not (tmp_path / "registry").exists()


def test_drawn_faces_of_another_label_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="drawn faces show the emotions of fer7"):
        resolve("sample://20", "sample://20", str(tmp_path), "run-1", {"label_set": "course5"})


def test_a_server_that_is_down_is_told_before_the_training(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    with fake_prediction_server() as server:
        address = server.address
        resolve(*sources, str(tmp_path), "run-1", {"server": address})
    with pytest.raises(Unavailable, match=address):
        resolve(*sources, str(tmp_path), "run-2", {"server": address})
    assert not read_records(str(tmp_path), "run-2")


@pytest.mark.parametrize("swapped", [True, False])
def test_a_source_of_another_kind_is_refused(
    tmp_path: Path, sources: tuple[str, str], swapped: bool
) -> None:
    keypoints, expression = sources
    pair = (expression, keypoints) if swapped else (keypoints, keypoints)
    with pytest.raises(InputError, match="column"):
        resolve(*pair, str(tmp_path / "registry"), "run-1", {})
    assert not (tmp_path / "registry/runs").exists()


@contextlib.contextmanager
def unwritable_folder() -> Iterator[Path]:
    """A folder that this process may read alone, also where it is root otherwise."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "folder")
        folder.mkdir(mode=0o755)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("below", ["", "new/registry"])
def test_a_folder_that_cannot_be_written_is_told(below: str) -> None:
    with unwritable_folder() as folder:
        address = str(folder / below)
        with pytest.raises(Unavailable, match=f"nothing can be written to {folder}: Permission"):
            storage.check_writable(address)
        assert not [*folder.iterdir()]


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path, cloud_storage: str) -> None:
    for folder in (str(tmp_path), str(tmp_path / "new/folder"), f"{cloud_storage}/{tmp_path.name}"):
        storage.check_writable(folder)
        assert storage.list_names(folder) == []
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="file is a file; expected a folder"):
        storage.check_writable(str(tmp_path / "file/registry"))
    with pytest.raises(InputError, match="no such bucket"):
        storage.check_writable("gs://no-such-bucket/models")


def test_a_lock_of_another_account_is_told() -> None:
    """It may write to the registry's folder, and could publish nothing there."""
    with unwritable_folder() as folder:
        lock = folder.parent / ".writer.lock"
        user = os.geteuid()
        os.seteuid(os.getuid())
        lock.touch(0o444)
        folder.parent.chmod(0o777)
        os.seteuid(user)
        with pytest.raises(Unavailable, match=r"\.writer\.lock: Permission denied"):
            check_writable(str(folder.parent))


@pytest.mark.parametrize("name", ["registry", "checkpoints"])
def test_registry_and_checkpoints_are_tried_before_the_training(
    tmp_path: Path, sources: tuple[str, str], name: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    folders = {"registry": str(tmp_path / "registry"), "checkpoints": str(tmp_path / "checkpoints")}
    folders[name] = str(tmp_path / "file/folder")
    with pytest.raises(InputError, match="file"):
        resolve(*sources, folders["registry"], "run-1", {"checkpoints": folders["checkpoints"]})
    assert not (tmp_path / "registry").exists()


def test_the_champion_to_compare_with_is_there_and_unaltered(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    registry = str(tmp_path / "registry")
    write_champion(registry, 3)
    with pytest.raises(InputError, match="no release 3; there are: none"):
        resolve(*sources, registry, "run-1", {})
    write_champion(registry, publish_networks(tmp_path / "files", registry))
    assert resolve(*sources, registry, "run-1", {}).champion == "1"
    (tmp_path / "registry/1/variables/variables.index").write_text("other weights")
    with pytest.raises(VerificationError, match="altered"):
        resolve(*sources, registry, "run-1", {})


def test_releases_to_start_and_learn_from_have_to_fit(
    tmp_path: Path, sources: tuple[str, str]
) -> None:
    registry = str(tmp_path / "registry")
    two, all_of_them = ("happy", "sad"), LABEL_SETS["fer7"]
    publish_networks(tmp_path / "two", registry, two)
    write_champion(registry, publish_networks(tmp_path / "all", registry, all_of_them))
    publish_networks(tmp_path / "wide", registry, all_of_them, (8, 24))

    def start(**settings: Any) -> tuple[str, list[str]]:
        resolved = resolve(*sources, registry, "run-1", SHAPES | settings)
        return resolved.start, resolved.teachers

    assert start(init="champion", teachers=[2.0, 3.0]) == (
        f"{registry}/2",
        [f"{registry}/2", f"{registry}/3"],
    )
    assert start(emotions="sad,happy", teachers=["1"])[1] == [f"{registry}/1"]
    # Only its last layer is not used.
    assert start(emotions="sad,happy", init="champion")[0] == f"{registry}/2"
    with pytest.raises(InputError, match=r"registry/1/.*expression\.npz: predicts happy, sad from"):
        start(teachers=["1"])
    with pytest.raises(InputError, match="a teacher here must predict happy, sad from faces of 48"):
        start(emotions="happy,sad", teachers=["champion"])
    wider = SHAPES | {"expression_training": {"widths": [8.0, 24.0], "blocks": 1.0}}
    with pytest.raises(InputError, match=r"an expression network of widths \(8, 16\).*\(8, 24\)"):
        start(**wider, init="champion")
    deeper = SHAPES | {"keypoint_training": {"widths": [8.0, 16.0], "blocks": 2.0}}
    with pytest.raises(InputError, match=r"a keypoints network.*blocks per stage: 2"):
        start(**deeper, init="champion")
    with pytest.raises(InputError, match=r"pretrained/keypoints\.npz: a keypoints network"):
        start(init="pretrained")


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_release_whose_networks_cannot_be_read_is_refused(
    tmp_path: Path, sources: tuple[str, str], damage: str
) -> None:
    registry = str(tmp_path / "registry")
    publish_networks(tmp_path / "files", registry)
    path = tmp_path / "registry/1" / release_path(EXPRESSION.name)
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"expression\.npz: "):
        resolve(*sources, registry, "run-1", SHAPES | {"teachers": ["1"]})


def test_what_is_named_and_is_not_there_yet_is_told(
    tmp_path: Path, sources: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"init": "champion", "teachers": ["champion"]}
    assert resolve(*sources, str(tmp_path), "run-1", settings).start == ""
    assert capsys.readouterr().out.splitlines() == [
        "init champion: there is none yet; the trainings start from scratch",
        "teachers champion: there is none yet; it teaches nothing",
    ]


RUNS: list[tuple[list[str], int, list[str]]] = [
    (["--expression", "training.csv"], 2, ["training.csv", "column"]),
    (["--init", "pretrained"], 2, ["pretrained/keypoints.npz", "to train has widths"]),
    (["--teachers", "7"], 2, ["teachers '7'", "release numbers"]),
    (["--registry", "training.csv/registry"], 2, ["training.csv"]),
    (["--registry", ""], 2, ["--registry: is empty"]),
    (["--emotions", " "], 2, ["--emotions: is empty"]),
    (["--preset", "mixing.yaml"], 2, ["training.keypoints.mixup = 0.4: keypoints cannot be mixed"]),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), RUNS, ids=[" ".join(a) for a, _, _ in RUNS]
)
def test_a_local_run_is_refused_before_anything_is_written(
    tmp_path: Path, sources: tuple[str, str], arguments: list[str], code: int, words: list[str]
) -> None:
    (tmp_path / "mixing.yaml").write_text("training: {keypoints: {mixup: 0.4}}")
    before = sorted(tmp_path.iterdir())
    flags = ["--keypoints", "training.csv", "--expression", "fer.csv"]
    assert_refused(emotion_ai("run", *flags, *arguments, cwd=tmp_path), code, *words)
    assert sorted(tmp_path.iterdir()) == before


def test_a_local_run_tries_its_work_folder_first(tmp_path: Path, sources: tuple[str, str]) -> None:
    (tmp_path / ".emotion-ai").write_text("in the way")
    flags = ["--keypoints", "training.csv", "--expression", "fer.csv"]
    result = emotion_ai("run", *flags, cwd=tmp_path)
    assert_refused(result, 2, ".emotion-ai", "expected a folder")
    assert not (tmp_path / "registry").exists()
