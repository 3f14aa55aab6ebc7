"""A disk that fills up in whatever is being written: one message with the path, and no half."""

import os
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

from support.minimal_release import small_release
from support.small_disk import FULL, PAGES, leave


def _failure(work: Callable[[], object]) -> str:
    try:
        work()
    except Unavailable as failure:
        return str(failure)
    return ""


def _until_it_fits(
    disk: Path, work: Callable[[], object], after_failure: Callable[[], None], step: int = 1
) -> None:
    """Try with ever more room on the disk; what fails says where and that it is the disk."""
    for pages in range(0, PAGES, step):
        leave(disk, pages)
        message = _failure(work)
        if not message:
            assert pages
            return
        assert str(disk) in message
        assert message.endswith(FULL)
        assert "\n" not in message
        after_failure()
    pytest.fail("it never fitted")


def test_publishing(disk: Path, tmp_path: Path) -> None:
    registry = disk / "registry"
    files, draft = small_release(tmp_path / "export", "a")

    def nothing_is_there() -> None:
        assert list_versions(str(registry)) == []
        assert not registry.exists() or {p.name for p in registry.iterdir()} <= {".writer.lock"}

    _until_it_fits(disk, lambda: publish(str(registry), files, draft), nothing_is_there)
    verify_release(str(registry), 1)


def test_naming_the_champion_and_recording(disk: Path) -> None:
    registry = str(disk / "registry")
    write_champion(registry, 1)
    write_record(registry, "run", "push", {"version": 1})

    def as_before() -> None:
        assert read_champion(registry) == 1
        assert read_records(registry, "run") == {"push": {"version": 1}}
        assert sorted(os.listdir(registry)) == ["models.config", "runs"]

    _until_it_fits(disk, lambda: write_champion(registry, 2), as_before)
    write_champion(registry, 1)
    big = {"text": "x" * 20_000}
    _until_it_fits(disk, lambda: write_record(registry, "run", "push", big), as_before)
    assert os.listdir(disk / "registry" / "runs" / "run") == ["push.json"]


def _no_faces(folder: Path) -> None:
    with pytest.raises(InputError, match="not a faces artifact"):
        Faces(folder)
    assert not folder.exists() or os.listdir(folder) == []


def test_ingesting_and_preparing(disk: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, 120, 1)
    source = str(tmp_path / "expression.csv")

    def ingest_to(folder: Path) -> None:
        paths = [str(folder / name) for name in ("faces", "report", "statistics")]
        ingest(source, "", "expression", "fer7", "", {}, *paths)

    def no_result() -> None:
        with pytest.raises(InputError, match="not a faces artifact"):
            Faces(disk / "faces")

    _until_it_fits(disk, lambda: ingest_to(disk), no_result, step=25)
    for path in disk.iterdir():
        if path.is_file():
            path.unlink()
    ingest_to(tmp_path)
    for path in (disk / "faces").iterdir():
        path.unlink()

    def prepare_there() -> None:
        prepare(str(tmp_path / "faces"), {}, str(disk / "faces"), str(disk / "preview"))

    _until_it_fits(disk, prepare_there, no_result, step=25)
    assert len(Faces(disk / "faces"))


def test_what_was_written_of_faces_goes(disk: Path, tmp_path: Path) -> None:
    """The arrays would keep the disk full, and they are of no use without faces.json."""
    from support.prepared_faces import write_faces

    _until_it_fits(
        disk,
        lambda: write_faces(disk / "faces", "expression"),
        lambda: _no_faces(disk / "faces"),
        step=30,
    )


def test_checkpoints(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The epoch before stays the one to go on from."""
    import tempfile

    import keras

    from emotion_ai.networks import checkpoints

    network = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(64)])
    network.compile("adam", "mse")
    uri = str(disk / "checkpoint")
    progress = checkpoints.Progress(epoch=1, best_epoch=1)
    checkpoints.save(uri, progress, network)
    kept = sorted(os.listdir(uri))

    def save_next() -> None:
        checkpoints.save(
            uri, checkpoints.Progress(epoch=2, best_epoch=2, files=dict(progress.files)), network
        )

    def the_first_is_there() -> None:
        found = checkpoints.load(uri)
        assert found is not None
        assert found[0].epoch == 1
        assert set(kept) <= set(os.listdir(uri))

    _until_it_fits(disk, save_next, the_first_is_there, step=6)
    found = checkpoints.load(uri)
    assert found is not None
    assert found[0].epoch == 2
    assert len(os.listdir(uri)) == 3

    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    leave(disk, 1)
    with pytest.raises(Unavailable, match=f"{disk}.*No space left on device"):
        checkpoints.save(str(tmp_path / "elsewhere"), progress, network)
    assert not (tmp_path / "elsewhere").exists()


def test_a_rollout_leaves_the_champion_answering(disk: Path, tmp_path: Path) -> None:
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
        leave(disk, 0)
        says = f"release 2 is not rolled out: {disk}.*No space.*release 1 is the champion, as befor"
        with pytest.raises(Unavailable, match=says):
            roll_out(registry, 2, server)
        assert read_champion(registry) == 1
        assert client.predict_arrays(np.zeros((1, 96, 96, 1), np.uint8)).version == 1
        (disk / "filler").unlink()
        assert roll_out(registry, 2, server)["previous"] == 1
