"""Pictures as the client reads them, and results as it writes them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.errors import BadInput
from components.faces.keypoints import NAMES
from components.predict import prediction
from components.predict.prediction import predict_files, read_face, render

RESULT: dict[str, Any] = {
    "file": "a, [b].png",
    "emotion": "happy",
    "probabilities": {"happy": 0.75, "sad": 0.25},
    "keypoints": {name: [float(k), 2.5] for k, name in enumerate(NAMES)},
    "model_version": 3,
}


def _saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_a_face_of_48_pixels_is_doubled_and_one_of_192_is_averaged(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (48, 48), np.uint8)
    face, size = read_face(_saved(tmp_path / "small.png", pixels))
    assert size == (48, 48)
    np.testing.assert_array_equal(face, pixels.repeat(2, 0).repeat(2, 1))

    pixels = np.random.default_rng(2).integers(0, 256, (192, 192), np.uint8)
    face, _ = read_face(_saved(tmp_path / "large.png", pixels))
    averages = pixels.reshape(96, 2, 96, 2).mean(axis=(1, 3))
    assert np.abs(face - averages).max() <= 0.5


def test_a_photograph_lying_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn: show it turned clockwise
    face, size = read_face(_saved(tmp_path / "turned.png", pixels, exif=exif))
    assert size == (40, 80)
    assert (face[:24] == 255).all()
    assert (face[24:] == 0).all()


def test_colour_and_sixteen_bits_become_gray(tmp_path: Path) -> None:
    green = np.zeros((96, 96, 3), np.uint8)
    green[..., 1] = 200
    face, _ = read_face(_saved(tmp_path / "green.png", green))
    # ITU-R BT.601: green weighs 0.587.
    assert set(face.ravel()) == {117}
    face, _ = read_face(_saved(tmp_path / "deep.png", np.full((96, 96), 0x4080, np.uint16)))
    assert set(face.ravel()) == {0x40}


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    text = tmp_path / "note.png"
    text.write_text("not a picture")
    whole = _saved(tmp_path / "whole.png", np.zeros((96, 96), np.uint8)).read_bytes()
    half = tmp_path / "half.png"
    half.write_bytes(whole[: len(whole) // 2])
    empty = tmp_path / "empty.png"
    empty.touch()
    for path in (text, half, empty, tmp_path / "absent.png", tmp_path):
        with pytest.raises(BadInput, match=str(path)):
            predict_files([path], "127.0.0.1:1")


# Pillow itself refuses the second.
@pytest.mark.parametrize("size", [(10_000, 8_000), (20_000, 10_000)])
def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", size).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(BadInput, match=rf"{path}.*{size[0] * size[1]}|{size[0]}x{size[1]} pixels"):
        read_face(path)


def test_a_file_of_too_many_bytes_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _saved(tmp_path / "face.bmp", np.zeros((96, 96), np.uint8))
    monkeypatch.setattr(prediction, "MAX_FILE_BYTES", 1000)
    with pytest.raises(BadInput, match=r"face\.bmp: more than"):
        read_face(path)


def test_json_is_one_array_of_the_results() -> None:
    assert json.loads(render([RESULT, RESULT], "json")) == [RESULT, RESULT]


def test_csv_has_a_column_for_each_number() -> None:
    other = {**RESULT, "probabilities": {"happy": 0.5, "fear": 0.5}}
    rows = list(csv.DictReader(io.StringIO(render([RESULT, other], "csv"))))
    assert [row["file"] for row in rows] == ["a, [b].png"] * 2
    assert rows[0]["probability_sad"] == "0.25"
    assert (rows[1]["probability_sad"], rows[1]["probability_fear"]) == ("", "0.5")
    assert (rows[0]["nose_tip_x"], rows[0]["nose_tip_y"]) == ("10.0", "2.5")
    assert len(rows[0]) == 3 + 3 + 30


def test_a_table_shows_file_emotion_and_probabilities() -> None:
    text = render([RESULT], "table")
    for part in ("a, [b].png", "happy", "0.750", "sad", "0.250", "3"):
        assert part in text


def test_another_format_is_refused() -> None:
    with pytest.raises(BadInput, match="json, csv or table"):
        render([RESULT], "xml")
