"""Tests of `sources.pictures`: folders, zips and buckets that are rejected as a whole."""

import os
from pathlib import Path

import pytest
from PIL import Image

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.sources.uri import fingerprint

from support.face_csv import random_images
from support.ingest_step import run_ingest
from support.picture_folders import upload, write_pictures, zip_folder


@pytest.mark.parametrize("form", ["folder", "zip", "gs"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/hapy/0.png", "folder train/hapy is unknown; expected a split"),
        ("trane/happy/0.png", "folder trane is unknown; expected a split"),
        ("train/happy/ann/0.png", "folder train/happy/ann is unknown"),
        ("test/train/happy/0.png", "folder test/train is unknown"),
        ("happy/0.png", "happy/0.png is in no split's folder, "),
    ],
)
def test_unknown_folders_are_rejected(
    tmp_path: Path, cloud_storage: str, form: str, name: str, message: str
) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes((folder / "train/sad/0.png").read_bytes())
    source = str(folder)
    if form == "zip":
        source = str(zip_folder(folder, tmp_path / "fer.zip"))
    elif form == "gs":
        source = upload(folder, storage.join(cloud_storage, tmp_path.name))
    with pytest.raises(InputError) as error:
        run_ingest(source, tmp_path / "out")
    assert str(error.value).startswith(f"{source}: ")
    assert message in str(error.value)
    assert not (tmp_path / "out" / "faces" / "faces.json").exists()


@pytest.mark.parametrize("file", [None, "README.txt", ".hidden/happy/0.png"])
def test_folder_without_pictures_is_rejected(tmp_path: Path, file: str | None) -> None:
    folder = tmp_path / "fer"
    folder.mkdir()
    if file is not None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("nothing")
    for read in (lambda: run_ingest(folder, tmp_path / "out"), lambda: fingerprint(str(folder))):
        with pytest.raises(
            InputError, match=r"fer: no picture in it; expected pictures in folders"
        ):
            read()


def test_name_that_is_not_utf8_is_rejected(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    (tmp_path / "fer/test/sad" / os.fsdecode(b"\xff.png")).write_bytes(b"")
    for read in (
        lambda: run_ingest(tmp_path / "fer", tmp_path / "out"),
        lambda: fingerprint(str(tmp_path / "fer")),
    ):
        with pytest.raises(InputError, match=r"'test/sad/.udcff\.png' is not UTF-8; rename it"):
            read()


def test_links_must_stay_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder)
    outside = tmp_path / "outside.png"
    Image.fromarray(random_images(1, 48, seed=9)[0]).save(outside)
    link = folder / "train/happy/1.png"
    link.symlink_to("../sad/0.png")
    copies = {"duplicates": 1, "contradicting_duplicates": 1}
    assert len(run_ingest(folder, tmp_path / "out", checks=copies)) == 15
    # The folder's own path may be a link.
    (tmp_path / "alias").symlink_to(folder)
    assert fingerprint(str(tmp_path / "alias")) == fingerprint(str(folder))
    for target, message in (
        (str(outside), "train/happy/1.png is a link that leads out of the folder"),
        ("../../..", "train/happy/1.png is a link that leads out of the folder"),
        ("../sad", "train/happy/1.png is neither a file nor a link to one"),
        ("nowhere.png", "train/happy/1.png is neither a file nor a link to one"),
        ("1.png", "train/happy/1.png is neither a file nor a link to one"),
    ):
        link.unlink()
        link.symlink_to(target)
        for read in (lambda: run_ingest(folder, tmp_path / "o"), lambda: fingerprint(str(folder))):
            with pytest.raises(InputError, match=message):
                read()
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(InputError, match=r"train/happy/1\.png is neither a file"):
        run_ingest(folder, tmp_path / "o")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("gs://no-such-bucket/fer", "gs://no-such-bucket: no such bucket"),
        ("gs://faces/nowhere/fer/", "gs://faces/nowhere/fer/: no such object"),
    ],
)
def test_missing_objects_and_buckets_are_named(
    tmp_path: Path, cloud_storage: str, source: str, message: str
) -> None:
    for read in (lambda: run_ingest(source, tmp_path / "out"), lambda: fingerprint(source)):
        with pytest.raises(InputError, match=f"^{message}"):
            read()


def test_pictures_are_rejected_as_keypoints(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    for source in (tmp_path / "fer", zip_folder(tmp_path / "fer", tmp_path / "fer.zip")):
        with pytest.raises(InputError, match="pictures carry no keypoints; expected a CSV"):
            run_ingest(source, tmp_path / "out", kind="keypoints")


def test_more_than_max_rows_files_are_rejected(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    with pytest.raises(InputError, match="fer: more than 13 files; raise max_rows"):
        run_ingest(tmp_path / "fer", tmp_path / "out", checks={"max_rows": 13})
