"""The faces that a run predicts at its end."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai.pipeline.local.example_faces import save_example_faces
from emotion_ai.sources import csv_table, pictures

from support.face_csv import random_images, write_expression
from support.picture_folders import EMOTIONS, write_pictures, zip_folder


@pytest.mark.parametrize("form", ["csv", "folder", "zip"])
def test_save_example_faces_saves_one_face_of_each_emotion(tmp_path: Path, form: str) -> None:
    images = random_images(14, 48)
    if form == "csv":
        source = write_expression(tmp_path / "fer.csv", list(range(7)) * 2)
        expected = dict(zip(EMOTIONS, images, strict=False))
    else:
        source = tmp_path / "fer"
        names = write_pictures(source, ["train"], each=2)
        expected = {n.split("/")[1]: images[k] for k, n in enumerate(names) if n.endswith("0.png")}
    if form == "zip":
        source = zip_folder(source, tmp_path / "fer.zip")
    paths = save_example_faces(str(source), "fer7", tmp_path / "faces")
    assert sorted(path.stem for path in paths) == sorted(EMOTIONS)
    for path in paths:
        face = np.asarray(Image.open(path))
        assert np.array_equal(face, expected[path.stem].repeat(2, 0).repeat(2, 1))


def test_save_example_faces_finds_every_emotion_in_a_sorted_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "BLOCK_ROWS", 4)
    source = write_expression(tmp_path / "fer.csv", sorted(list(range(7)) * 3))
    paths = save_example_faces(str(source), "fer7", tmp_path / "faces")
    assert sorted(path.stem for path in paths) == sorted(EMOTIONS)


def test_save_example_faces_reads_one_picture_of_each_emotion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = write_pictures(tmp_path / "fer", ["train"], each=5)
    read: list[str] = []

    def read_bytes(uri: str, limit: int) -> bytes:
        read.append(uri)
        return Path(uri).read_bytes()

    monkeypatch.setattr(pictures.storage, "read_bytes", read_bytes)
    save_example_faces(str(tmp_path / "fer"), "fer7", tmp_path / "faces")
    assert read == [str(tmp_path / "fer" / name) for name in names if name.endswith("0.png")]


def test_save_example_faces_passes_over_emotions_outside_the_label_set(tmp_path: Path) -> None:
    source = write_expression(tmp_path / "faces.csv", ["contempt", "happy", "sad"])
    paths = save_example_faces(str(source), "fer7", tmp_path / "faces", "happy,sad")
    assert [path.name for path in paths] == ["happy.png", "sad.png"]


def test_save_example_faces_draws_a_sample(tmp_path: Path) -> None:
    paths = save_example_faces("sample://20?seed=1", "fer7", tmp_path / "faces")
    assert sorted(path.stem for path in paths) == sorted(EMOTIONS)
