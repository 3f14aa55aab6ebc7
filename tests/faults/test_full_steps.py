"""A full disk in a step or a command: exit code 1, one line with the path, no result.

Steps run as in the pipeline: the component's own function, with KFP artifacts.
"""

import shutil
import tempfile
from collections.abc import Callable
from json import dumps, loads
from pathlib import Path
from typing import Any

import pytest
from kfp.dsl import Artifact, ClassificationMetrics, Metrics

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.steps.combine.component import combine
from emotion_ai.steps.evaluate.component import evaluate
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.record.component import record
from emotion_ai.steps.train_expression.component import train_expression
from emotion_ai.steps.train_keypoints.component import train_keypoints
from emotion_ai.steps.validate.component import validate

from support.command_line import assert_refused, emotion_ai
from support.picture_folders import write_pictures, zip_folder
from support.prepared_faces import write_faces
from support.small_disk import FULL, fill_disk, free_pages

TRAINING = {"epochs": 1, "batch_size": 32, "widths": [8, 8]}
TRAINED = ("model", "history", "curves")

Capture = pytest.CaptureFixture[str]


def run_step(component: Any, outputs: dict[str, Path], **inputs: Any) -> None:
    """Run a step; inputs that are paths become artifacts."""
    kinds = {"confusion": ClassificationMetrics, "metrics": Metrics, "history": Metrics}
    artifacts = {name: path for name, path in inputs.items() if isinstance(path, Path)} | outputs
    kfp_artifacts = {
        name: kinds.get(name, Artifact)(uri=str(path), metadata={})
        for name, path in artifacts.items()
    }
    component.python_func(**inputs | kfp_artifacts)


def paths_in(folder: Path, *names: str) -> dict[str, Path]:
    return {name: folder / name for name in names}


def assert_fails_with_too_little_space(
    disk: Path, work: Callable[[], None], capsys: Capture, shares: tuple[float, ...] = (0, 0.5, 1)
) -> None:
    """Measure how many pages it writes, then run it with a share of them minus one."""
    before = free_pages(disk)
    work()
    used = before - free_pages(disk)
    assert used > 1
    for path in disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for share in shares:
        fill_disk(disk, max(0, int(share * used) - 1))
        assert_exits_with_1(disk, work, capsys)
        assert [path.name for path in disk.iterdir()] == ["filler"]


def assert_exits_with_1(disk: Path, work: Callable[[], None], capsys: Capture) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_info:
        work()
    assert exit_info.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("emotion-ai: error (exit code 1): ")
    assert str(disk) in line
    assert line.endswith(FULL)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Faces and models of both kinds, on a disk with enough space."""
    folder = tmp_path_factory.mktemp("artifacts")
    outputs = {}
    inputs = {"settings": TRAINING, "seed": 1, "start": "", "checkpoints": ""}
    for kind, name, component, more in (
        ("keypoints", "keypoint", train_keypoints, {}),
        ("expression", "expression", train_expression, {"teachers": []}),
    ):
        faces = write_faces(folder / kind / "faces", kind)
        trained = paths_in(folder / kind, *TRAINED)
        run_step(component, trained, faces=faces, **inputs, **more)
        outputs |= {f"{name}_faces": faces, f"{name}_model": trained["model"]}
    return outputs


def test_train_keeps_its_checkpoint(
    artifacts: dict[str, Path], disk: Path, tmp_path: Path, capsys: Capture
) -> None:
    def work() -> None:
        run_step(
            train_expression,
            paths_in(disk, *TRAINED),
            faces=artifacts["expression_faces"],
            settings=TRAINING,
            seed=2,
            start="",
            teachers=[],
            checkpoints=str(tmp_path / "checkpoints"),
        )

    assert_fails_with_too_little_space(disk, work, capsys)
    (disk / "filler").unlink()
    work()
    assert "resuming after epoch 1 of 1" in capsys.readouterr().out
    assert sorted(path.name for path in disk.iterdir()) == sorted(TRAINED)


def test_evaluate_leaves_no_result(artifacts: dict[str, Path], disk: Path, capsys: Capture) -> None:
    outputs = paths_in(disk, "metrics", "confusion", "gate_report", "verdict", "report")
    settings = {"registry": "", "champion": "", "gate": {}, "force_accept": "to see it written"}
    assert_fails_with_too_little_space(
        disk, lambda: run_step(evaluate, outputs, **artifacts, **settings), capsys
    )


@pytest.mark.slow
def test_combine_and_validate_leave_no_result(
    artifacts: dict[str, Path],
    disk: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported = paths_in(disk, "saved_model", "golden")
    assert_fails_with_too_little_space(
        disk, lambda: run_step(combine, exported, **artifacts), capsys
    )

    exported = paths_in(tmp_path, "saved_model", "golden")
    run_step(combine, exported, **artifacts)
    (disk / "filler").unlink()
    outputs = paths_in(disk, "warmup", "verdict", "report")

    def work() -> None:
        run_step(validate, outputs, **exported, limits={"latency_calls": 1})

    assert_fails_with_too_little_space(disk, work, capsys, shares=(1,))
    # The model is served from a temporary folder during validation.
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill_disk(disk, 0)
    assert_exits_with_1(disk, work, capsys)
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_record_leaves_complete_reports_only(disk: Path, tmp_path: Path, capsys: Capture) -> None:
    """Reports that were copied before the disk was full are complete."""
    names = (
        "keypoint_data",
        "expression_data",
        "keypoint_preview",
        "expression_preview",
        "keypoint_curves",
        "expression_curves",
        "evaluation",
    )
    reports = paths_in(tmp_path, *names, "gate")
    text = f"<html>{'x' * 20_000}</html>"
    for name in names:
        reports[name].write_text(text)
    reports["gate"].write_text(dumps({"outcome": "accepted"}))
    run = disk / "runs" / "run"

    def work() -> None:
        run_step(record, {}, **reports, registry=str(disk), run_id="run")

    for pages in (0, 7):
        fill_disk(disk, pages)
        assert_exits_with_1(disk, work, capsys)
        left = {path: path.read_text() for path in run.rglob("*") if path.is_file()}
        # Where a few bytes fit, the step says why it failed.
        failure = left.pop(run / "failure.json", '{"step": "record reports"}')
        assert loads(failure)["step"] == "record reports"
        assert set(left.values()) <= {text}
        assert len(left) == bool(pages)
    (disk / "filler").unlink()
    work()
    assert len(list((run / "reports").iterdir())) == len(names)


def test_ingest_reports_a_full_disk_while_it_copies_a_zip(
    disk: Path, tmp_path: Path, cloud_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "faces")
    packed = zip_folder(tmp_path / "faces", tmp_path / "faces.zip").read_bytes()
    source = storage.join(cloud_storage, tmp_path.name, "faces.zip")
    storage.write_bytes(source, packed)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill_disk(disk, 0)
    outputs = [str(tmp_path / name) for name in ("out", "report", "statistics")]
    with pytest.raises(Unavailable, match=f"^{disk}.*{FULL}$"):
        ingest(source, "", "expression", "fer7", "", {}, *outputs)
    assert [path.name for path in disk.iterdir()] == ["filler"]


@pytest.mark.parametrize(
    "command",
    [
        "sample-data sample --faces 100",
        "compile -o pipeline.yaml",
        "run --keypoints sample://20 --expression sample://20",
    ],
)
def test_command_exits_with_1(disk: Path, command: str) -> None:
    fill_disk(disk, 0)
    assert_refused(emotion_ai(*command.split(), cwd=disk), 1, "No space left on device")
    assert [path for path in disk.rglob("*") if path.is_file() and path.stat().st_size] == [
        disk / "filler"
    ]
