"""A full disk: one message with the path, and no partial result."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.arrays import Faces
from emotion_ai.registry.champion import read_champion, write_champion
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import list_versions, verify_release
from emotion_ai.registry.runs import read_records, write_record
from emotion_ai.sample.files import write_sample
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare

from support.minimal_release import write_minimal_release
from support.small_disk import FULL, PAGES, fill_disk


def _error_message(work: Callable[[], object]) -> str:
    try:
        work()
    except Unavailable as error:
        return str(error)
    return ""


def _retry_until_it_fits(
    disk: Path, work: Callable[[], object], check_after_error: Callable[[], None], step: int = 1
) -> None:
    """Retry with more and more free pages; every error names the path and the full disk."""
    for pages in range(0, PAGES, step):
        fill_disk(disk, pages)
        message = _error_message(work)
        if not message:
            assert pages
            return
        assert str(disk) in message
        assert message.endswith(FULL)
        assert "\n" not in message
        check_after_error()
    pytest.fail("the disk was too small to the end")


def test_publish_leaves_no_partial_release(disk: Path, tmp_path: Path) -> None:
    registry = disk / "registry"
    files, draft = write_minimal_release(tmp_path / "export", "a")

    def check_no_release() -> None:
        assert list_versions(str(registry)) == []
        assert not registry.exists() or {p.name for p in registry.iterdir()} <= {".writer.lock"}

    _retry_until_it_fits(disk, lambda: publish(str(registry), files, draft), check_no_release)
    verify_release(str(registry), 1)


def test_write_champion_and_write_record_keep_the_old_content(disk: Path) -> None:
    registry = str(disk / "registry")
    write_champion(registry, 1)
    write_record(registry, "run", "push", {"version": 1})

    def check_unchanged() -> None:
        assert read_champion(registry) == 1
        assert read_records(registry, "run") == {"push": {"version": 1}}
        assert sorted(path.name for path in Path(registry).iterdir()) == ["models.config", "runs"]

    _retry_until_it_fits(disk, lambda: write_champion(registry, 2), check_unchanged)
    write_champion(registry, 1)
    big = {"text": "x" * 20_000}
    _retry_until_it_fits(disk, lambda: write_record(registry, "run", "push", big), check_unchanged)
    assert [path.name for path in Path(registry, "runs", "run").iterdir()] == ["push.json"]


def _check_no_faces(folder: Path) -> None:
    with pytest.raises(InputError, match="not a faces artifact"):
        Faces(folder)
    assert not folder.exists() or not list(folder.iterdir())


def test_ingest_and_prepare_leave_no_partial_faces(disk: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, 120, 1)
    source = str(tmp_path / "expression.csv")

    def ingest_to(folder: Path) -> None:
        paths = [str(folder / name) for name in ("faces", "report", "statistics")]
        ingest(source, "", "expression", "fer7", "", {}, *paths)

    def check_no_result() -> None:
        with pytest.raises(InputError, match="not a faces artifact"):
            Faces(disk / "faces")

    _retry_until_it_fits(disk, lambda: ingest_to(disk), check_no_result, step=25)
    for path in disk.iterdir():
        if path.is_file():
            path.unlink()
    ingest_to(tmp_path)
    for path in (disk / "faces").iterdir():
        path.unlink()

    def prepare_to_disk() -> None:
        prepare(str(tmp_path / "faces"), {}, str(disk / "faces"), str(disk / "preview"))

    _retry_until_it_fits(disk, prepare_to_disk, check_no_result, step=25)
    assert len(Faces(disk / "faces"))


def test_faces_writer_removes_partial_arrays(disk: Path, tmp_path: Path) -> None:
    """Without faces.json the arrays are useless, and they would keep the disk full."""
    from support.prepared_faces import write_faces

    _retry_until_it_fits(
        disk,
        lambda: write_faces(disk / "faces", "expression"),
        lambda: _check_no_faces(disk / "faces"),
        step=30,
    )


def test_checkpoint_of_the_last_epoch_is_kept(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training can resume from the epoch before the failed one."""
    import tempfile

    import keras

    from emotion_ai.networks import checkpoints

    def after_epoch(epoch: int) -> checkpoints.Progress:
        scores = [{"epoch": k + 1, "loss": 1.0, "score": 1.0, "seconds": 1} for k in range(epoch)]
        return checkpoints.Progress(epoch=epoch, best_epoch=epoch, best_score=1.0, history=scores)

    network = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(64)])
    network.compile("adam", "mse")
    folder = disk / "checkpoint"
    uri = str(folder)
    progress = after_epoch(1)
    checkpoints.save(uri, progress, network)
    kept = set(folder.iterdir())

    def save_next() -> None:
        checkpoints.save(uri, after_epoch(2), network)

    def check_first_checkpoint() -> None:
        loaded = checkpoints.load(uri)
        assert loaded is not None
        assert loaded[0].epoch == 1
        assert kept <= set(folder.iterdir())

    _retry_until_it_fits(disk, save_next, check_first_checkpoint, step=6)
    loaded = checkpoints.load(uri)
    assert loaded is not None
    assert loaded[0].epoch == 2
    assert len(list(folder.iterdir())) == 3

    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill_disk(disk, 1)
    with pytest.raises(Unavailable, match=f"{disk}.*No space left on device"):
        checkpoints.save(str(tmp_path / "elsewhere"), progress, network)
    assert not (tmp_path / "elsewhere").exists()


def test_rollout_leaves_the_champion_serving(disk: Path, tmp_path: Path) -> None:
    import numpy as np

    from emotion_ai.client.client import Client
    from emotion_ai.rollouts.targets import roll_out
    from emotion_ai.server.process import running_server

    from support.tiny_saved_model import publish_tiny_release

    registry = str(disk / "registry")
    assert [publish_tiny_release(registry, tmp_path, shift, shift) for shift in (1.0, 2.0)] == [
        1,
        2,
    ]
    with running_server(registry, tmp_path / "log") as server, Client(server) as client:
        roll_out(registry, 1, server)
        fill_disk(disk, 0)
        message = (
            f"release 2 is not rolled out: {disk}.*No space.*release 1 is the champion, as befor"
        )
        with pytest.raises(Unavailable, match=message):
            roll_out(registry, 2, server)
        assert read_champion(registry) == 1
        assert client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version == 1
        (disk / "filler").unlink()
        assert roll_out(registry, 2, server)["previous"] == 1
