"""The faces that a run predicts at its end."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_ai.pipeline.local.example_faces import save_example_faces

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
