"""A disk that fills up in a step or a command: exit code 1, one line with the path, no result.

A step is run as the pipeline runs it: the component's own function, with artifacts of KFP.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Any

import pytest
from kfp.dsl import Artifact, ClassificationMetrics

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.steps.combine.component import combine
from emotion_ai.steps.evaluate.component import evaluate
from emotion_ai.steps.ingest.run import ingest
from emotion_ai.steps.record.component import record
from emotion_ai.steps.train_expression.component import train_expression
from emotion_ai.steps.train_keypoints.component import train_keypoints
from emotion_ai.steps.validate.component import validate

from support.command_line import emotion_ai, refused
from support.picture_folders import write_pictures, zip_folder
from support.prepared_faces import write_faces
from support.small_disk import FULL, free_pages, leave

TRAINING = dumps({"epochs": 1, "batch_size": 32, "widths": [8, 8]})
TRAINED = ("model", "history", "curves")

Errors = pytest.CaptureFixture[str]


def step(component: Any, outputs: dict[str, Path], **inputs: Any) -> None:
    """Run a step; paths among the inputs are artifacts."""
    kinds = {"confusion": ClassificationMetrics}
    artifacts = {name: path for name, path in inputs.items() if isinstance(path, Path)} | outputs
    given = {
        name: kinds.get(name, Artifact)(uri=str(path), metadata={})
        for name, path in artifacts.items()
    }
    component.python_func(**inputs | given)


def below(folder: Path, *names: str) -> dict[str, Path]:
    return {name: folder / name for name in names}


def fails_where_room_is_short(
    disk: Path, work: Callable[[], None], capsys: Errors, shares: tuple[float, ...] = (0, 0.5, 1)
) -> None:
    """Do it once to see how much room it takes, and then with less: a page less than a share."""
    before = free_pages(disk)
    work()
    used = before - free_pages(disk)
    assert used > 1
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for share in shares:
        leave(disk, max(0, int(share * used) - 1))
        assert_refused(disk, work, capsys)
        assert os.listdir(disk) == ["filler"]


def assert_refused(disk: Path, work: Callable[[], None], capsys: Errors) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        work()
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("emotion-ai: error (exit code 1): ")
    assert str(disk) in line
    assert line.endswith(FULL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Faces and models of both kinds, with room enough."""
    folder = tmp_path_factory.mktemp("made")
    outputs = {}
    own = {"keypoint": (train_keypoints, {}), "expression": (train_expression, {"teachers": "[]"})}
    for kind, (train, more) in own.items():
        faces = write_faces(folder / kind / "faces", f"{kind}s")
        trained = below(folder / kind, *TRAINED)
        told = {"settings": TRAINING, "seed": 1, "start": "", "checkpoints": ""} | more
        step(train, trained, faces=faces, **told)
        outputs |= {f"{kind}_faces": faces, f"{kind}_model": trained["model"]}
    return outputs


def test_training_keeps_its_checkpoint(
    made: dict[str, Path], disk: Path, tmp_path: Path, capsys: Errors
) -> None:
    def work() -> None:
        step(
            train_expression,
            below(disk, *TRAINED),
            faces=made["expression_faces"],
            settings=TRAINING,
            seed=2,
            start="",
            teachers="[]",
            checkpoints=str(tmp_path / "checkpoints"),
        )

    fails_where_room_is_short(disk, work, capsys)
    (disk / "filler").unlink()
    work()
    assert "resuming after epoch 1 of 1" in capsys.readouterr().out
    assert sorted(os.listdir(disk)) == sorted(TRAINED)


def test_evaluating(made: dict[str, Path], disk: Path, capsys: Errors) -> None:
    outputs = below(disk, "metrics", "confusion", "gate_report", "report")
    settings = {"registry": "", "champion": "", "gate": "{}", "force_accept": "to see it written"}
    fails_where_room_is_short(disk, lambda: step(evaluate, outputs, **made, **settings), capsys)


@pytest.mark.slow
def test_combining_and_validating(
    made: dict[str, Path],
    disk: Path,
    tmp_path: Path,
    capsys: Errors,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported = below(disk, "saved_model", "golden")
    fails_where_room_is_short(disk, lambda: step(combine, exported, **made), capsys)

    exported = below(tmp_path, "saved_model", "golden")
    step(combine, exported, **made)
    (disk / "filler").unlink()
    outputs = below(disk, "warmup", "verdict", "report")

    def work() -> None:
        step(validate, outputs, **exported, limits=dumps({"latency_calls": 1}))

    fails_where_room_is_short(disk, work, capsys, shares=(1,))
    # Where the model is served from while it is tried.
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    leave(disk, 0)
    assert_refused(disk, work, capsys)
    assert os.listdir(disk) == ["filler"]


def test_recording_reports(disk: Path, tmp_path: Path, capsys: Errors) -> None:
    """What was copied before the disk was full is whole."""
    names = (
        "keypoint_data",
        "expression_data",
        "keypoint_preview",
        "expression_preview",
        "keypoint_curves",
        "expression_curves",
        "evaluation",
    )
    reports = below(tmp_path, *names, "gate")
    text = f"<html>{'x' * 20_000}</html>"
    for name in names:
        reports[name].write_text(text)
    reports["gate"].write_text(dumps({"outcome": "accepted"}))
    run = disk / "runs" / "run"

    def work() -> None:
        step(record, {}, **reports, registry=str(disk), run_id="run")

    for pages in (0, 7):
        leave(disk, pages)
        assert_refused(disk, work, capsys)
        copied = [path for path in run.rglob("*") if path.is_file()]
        assert {path.read_text() for path in copied} <= {text}
        assert len(copied) == bool(pages)
    (disk / "filler").unlink()
    work()
    assert len(os.listdir(run / "reports")) == len(names)


def test_copying_a_zip_from_cloud_storage(
    disk: Path, tmp_path: Path, cloud_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "faces")
    packed = zip_folder(tmp_path / "faces", tmp_path / "faces.zip").read_bytes()
    source = storage.join(cloud_storage, tmp_path.name, "faces.zip")
    storage.write_bytes(source, packed)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    leave(disk, 0)
    outputs = [str(tmp_path / name) for name in ("out", "report", "statistics")]
    with pytest.raises(Unavailable, match=f"^{disk}.*{FULL}$"):
        ingest(source, "", "expression", "fer7", "", {}, *outputs)
    assert os.listdir(disk) == ["filler"]


@pytest.mark.parametrize(
    "command",
    [
        "sample-data sample --faces 100",
        "compile -o pipeline.yaml",
        "run --keypoints sample://20 --expression sample://20",
    ],
)
def test_a_command_says_it_with_1(disk: Path, command: str) -> None:
    leave(disk, 0)
    refused(emotion_ai(*command.split(), cwd=disk), 1, "No space left on device")
    assert [path for path in disk.rglob("*") if path.is_file() and path.stat().st_size] == [
        disk / "filler"
    ]
