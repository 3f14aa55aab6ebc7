"""Tests of `sources.pictures`: folders and zips, on disk and in Cloud Storage."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import UNASSIGNED
from emotion_ai.sources.uri import fingerprint

from support.face_csv import random_images
from support.ingest_step import Outputs, run_ingest
from support.picture_folders import EMOTIONS, upload, write_pictures, zip_folder


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


def test_files_that_are_no_pictures_are_skipped_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_pictures(folder)
    for name in ("README.md", "labels.csv", "train/happy/note.txt", "papers/fer.pdf"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no picture")
    archive = zip_folder(folder, tmp_path / "faces.zip", "fer/")
    for source in (folder, archive):
        outputs = Outputs(tmp_path / source.name.replace(".", "-"))
        outputs.ingest(source)
        assert len(outputs.faces) == 14
        assert outputs.faces.column("row").tolist() == [*range(14)]
        assert outputs.statistics["files_skipped"] == 4
        assert "4: README.md, labels.csv, papers/fer.pdf, train/happy/note.txt" in outputs.report
    (folder / "train" / "happy" / "note.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"happy/note\.jpg"):
        Outputs(tmp_path / "refused").ingest(folder)


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
