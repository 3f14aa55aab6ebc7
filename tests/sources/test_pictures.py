"""Tests of `sources.pictures`: folders and zips, on disk and in Cloud Storage."""

import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED, Faces
from emotion_ai.sources import pictures
from emotion_ai.sources.uri import fingerprint
from emotion_ai.steps.ingest.run import run as ingest

from support.face_csv import random_images
from support.picture_folders import EMOTIONS, write_pictures, zip_folder


def run_ingest(source: Path | str, out: Path, **settings: Any) -> Faces:
    values = {"fingerprint": "", "kind": "expression", "label_set": "fer7", "emotions": ""}
    checks = {"checks": {"malformed_row": 0.2}}
    paths = (str(out / "faces"), str(out / "report.html"), str(out / "statistics.json"))
    ingest(
        str(source),
        **{**values, **checks, **settings},
        faces_path=paths[0],
        report_path=paths[1],
        statistics_path=paths[2],
    )
    return Faces(paths[0])


def png_of_size(width: int, height: int) -> bytes:
    """Return a small PNG whose header states this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def upload(folder: Path, uri: str) -> str:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            storage.write_bytes(storage.join(uri, name), file.read_bytes())
    return uri


def test_ingest_reads_the_same_faces_from_folder_zip_and_cloud_storage(
    tmp_path: Path, cloud_storage: str
) -> None:
    folder = tmp_path / "faces %41"
    names = write_pictures(folder)
    (folder / "train" / ".DS_Store").write_bytes(b"\0")
    (folder / ".cache" / "deep").mkdir(parents=True)
    (folder / ".cache" / "deep" / "notes.txt").write_text("hidden")
    archive = zip_folder(folder, tmp_path / "faces.zip", "fer/")
    remote = storage.join(cloud_storage, tmp_path.name)
    sources = {
        "folder": str(folder),
        "slash": f"{folder}/",
        "uri": folder.as_uri(),
        "zip": str(archive),
        "gs": upload(folder, storage.join(remote, "faces")),
        "gs zip": storage.join(remote, "fer.zip"),
    }
    storage.write_bytes(sources["gs zip"], archive.read_bytes())
    for form, source in sources.items():
        faces = run_ingest(source, tmp_path / form, fingerprint=fingerprint(source))
        rows = faces.take(np.arange(14))
        assert np.array_equal(rows.images, random_images(14, 48)), form
        assert rows.row.tolist() == list(range(14))
        assert [EMOTIONS[code] for code in rows.targets] == [n.split("/")[1] for n in names]
        assert rows.split.tolist() == [2] * 7 + [0] * 7
        assert faces.info.split_names == ("train", "validation", "test")
        assert faces.info.counts["emotion/happy"] == 2
        assert "passes every check" in (tmp_path / form / "report.html").read_text()
    assert len({fingerprint(sources[form]) for form in ("folder", "slash", "uri", "gs")}) == 1


@pytest.mark.parametrize(
    ("splits", "codes", "names"),
    [
        ((".",), [UNASSIGNED] * 7, ("train", "validation", "test")),
        (("TRAIN",), [0] * 7, ("TRAIN", "validation", "test")),
        (
            ("PrivateTest", "PublicTest", "Training"),
            [2] * 7 + [1] * 7 + [0] * 7,
            ("Training", "PublicTest", "PrivateTest"),
        ),
    ],
)
def test_folders_name_the_splits(
    tmp_path: Path, splits: tuple[str, ...], codes: list[int], names: tuple[str, ...]
) -> None:
    write_pictures(tmp_path / "fer", splits)
    faces = run_ingest(tmp_path / "fer", tmp_path / "out")
    assert faces.column("split").tolist() == codes
    assert faces.info.split_names == names


def test_folders_name_emotions_of_the_label_set_in_any_case(tmp_path: Path) -> None:
    folder = tmp_path / "posed"
    for k, emotion in enumerate(("Anger", "DISGUST", "sad", "happy", "surprise")):
        (folder / emotion).mkdir(parents=True)
        Image.fromarray(random_images(5, 48)[k]).save(folder / emotion / "a.png")
    faces = run_ingest(folder, tmp_path / "out", label_set="course5", emotions="sad,anger")
    assert faces.info.labels == ("anger", "sad")
    # Sorted by name: Anger, DISGUST, happy, sad, surprise.
    assert faces.column("row").tolist() == [0, 3]
    assert faces.column("targets").tolist() == [0, 1]
    with pytest.raises(InputError, match=r"posed: folder Anger is unknown; .* an emotion: angry, "):
        run_ingest(folder, tmp_path / "other")


def test_emotions_that_are_not_learned_may_lack_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    for split in ("train", "test"):
        for emotion in ("surprise", "neutral"):
            (tmp_path / "fer" / split / emotion / "0.png").unlink()
    faces = run_ingest(tmp_path / "fer", tmp_path / "out", emotions="angry,happy")
    assert len(faces) == 4


@pytest.mark.parametrize("suffix", [".jpg", ".bmp", ".gif", ".tiff", ".webp", ".pgm", ".jp2"])
def test_ingest_reads_every_picture_format(tmp_path: Path, suffix: str) -> None:
    write_pictures(tmp_path / "fer", suffix=suffix)
    images = run_ingest(tmp_path / "fer", tmp_path / "out").take(np.arange(14)).images
    error = np.abs(images.astype(int) - random_images(14, 48)).mean()
    assert error < (35 if suffix in (".jpg", ".webp") else 2)


def test_pictures_are_converted_to_gray_and_resized_by_area(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    large = np.random.default_rng(3).integers(0, 256, (144, 96, 3), np.uint8)
    Image.fromarray(large).save(tmp_path / "fer/test/angry/0.png")
    face = run_ingest(tmp_path / "fer", tmp_path / "out").take(np.arange(1)).images[0]
    gray = np.asarray(Image.fromarray(large).convert("L"), dtype=float)
    assert np.abs(face - gray.reshape(48, 3, 48, 2).mean(axis=(1, 3))).max() <= 0.5


def test_files_that_are_no_pictures_are_dropped_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder, each=3)
    picture = (folder / "train/sad/0.png").read_bytes()
    (folder / "README.txt").write_text("about these faces")
    (folder / "test/angry/1.png").write_text("<b>no picture</b>")
    (folder / "test/fear/2.png").write_bytes(picture[: len(picture) // 2])
    (folder / "train/fear/2.png").write_bytes(png_of_size(30_000, 30_000))
    (folder / "train/happy/1.png").write_bytes(png_of_size(9_000, 9_000))
    (folder / "train/happy/2.png").write_bytes(b"")
    zip_folder(folder, tmp_path / "fer.zip")
    for source in (folder, tmp_path / "fer.zip"):
        faces = run_ingest(source, tmp_path / "out")
        assert len(faces) == 42 - 5
        report = (tmp_path / "out" / "report.html").read_text()
        for cell in (
            "README.txt",
            "in no emotion&#39;s folder",
            "test/angry/1.png",
            "not a picture",
            "test/fear/2.png",
            "train/fear/2.png",
            "train/happy/1.png",
            "9000x9000 pixels; at most 64,000,000 can be read",
            "train/happy/2.png",
        ):
            assert cell in report
        statistics = json.loads((tmp_path / "out" / "statistics.json").read_text())
        (finding,) = [each for each in statistics["findings"] if each["check"] == "malformed_row"]
        assert finding["count"] == 6
        assert finding["files"][:2] == ["README.txt", "test/angry/1.png"]
        with pytest.raises(InputError) as error:
            run_ingest(source, tmp_path / "out", checks={})
        assert "the first is file README.txt: in no emotion's folder" in str(error.value)
        assert not (tmp_path / "out" / "faces" / "faces.json").exists()


def test_split_duplicates_are_named_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder, each=3)
    (folder / "train/sad/2.png").write_bytes((folder / "test/sad/0.png").read_bytes())
    with pytest.raises(InputError, match=r"split_duplicates\); the first are test/sad/0\.png$"):
        run_ingest(folder, tmp_path / "out", checks={"split_duplicates": 0.01})


def test_pictures_over_the_size_limit_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud_storage: str
) -> None:
    monkeypatch.setattr(pictures, "MAX_PICTURE_BYTES", 4000)
    folder = tmp_path / "fer"
    write_pictures(folder)
    (folder / "train/sad/0.png").write_bytes(b"\0" * 4001)
    remote = upload(folder, storage.join(cloud_storage, tmp_path.name))
    for source in (str(folder), str(zip_folder(folder, tmp_path / "fer.zip")), remote):
        assert len(run_ingest(source, tmp_path / "out")) == 13
        report = (tmp_path / "out" / "report.html").read_text()
        assert "train/sad/0.png" in report
        assert "larger than 4000 bytes" in report


def test_damaged_zip_member_is_a_bad_row(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    path = zip_folder(tmp_path / "fer", tmp_path / "fer.zip")
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("train/sad/0.png").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 60 : offset + 160] = bytes(100)
    path.write_bytes(data)
    assert len(run_ingest(path, tmp_path / "out")) == 13
    assert "damaged: " in (tmp_path / "out" / "report.html").read_text()


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


@pytest.mark.parametrize("form", ["folder", "gs"])
def test_fingerprint_changes_with_any_file(tmp_path: Path, cloud_storage: str, form: str) -> None:
    folder = tmp_path / "fer"
    write_pictures(folder)
    uri = storage.join(cloud_storage, tmp_path.name)
    source = upload(folder, uri) if form == "gs" else str(folder)
    fingerprints = [fingerprint(source)]
    picture = (folder / "train/sad/0.png").read_bytes()
    for name, content in (
        ("train/sad/1.png", picture),
        ("train/sad/1.png", (folder / "train/happy/0.png").read_bytes()),
        ("train/sad/a.png", picture),
    ):
        storage.write_bytes(storage.join(source, name), content)
        fingerprints.append(fingerprint(source))
    storage.write_bytes(f"{source}.subjects.csv", b"row,subject\n0,1\n")
    fingerprints.append(fingerprint(source))
    assert len(set(fingerprints)) == 5
    with pytest.raises(InputError, match="changed while the run went on"):
        run_ingest(source, tmp_path / "out", fingerprint=fingerprints[0], checks={"duplicates": 1})


def test_subjects_file_beside_the_folder_is_read(tmp_path: Path) -> None:
    write_pictures(tmp_path / "fer")
    (tmp_path / "fer.subjects.csv").write_text("row,subject\n0,4\n13,4\n")
    faces = run_ingest(f"{tmp_path}/fer/", tmp_path / "out")
    assert faces.column("subject").tolist() == [4, *[-1] * 12, 4]


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
