"""Read pictures from files, bytes, PIL images and arrays of every kind."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from emotion_ai.client import detectors, images
from emotion_ai.client.cropping import crop_faces
from emotion_ai.client.detectors import Whole
from emotion_ai.client.images import FORMATS, read_image
from emotion_ai.errors import InputError
from emotion_ai.faces import picture_files
from emotion_ai.faces.picture_files import formats, read_picture

COLOURS = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)


def save_picture(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_read_image_accepts_paths_bytes_pil_images_and_arrays(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "a.png", COLOURS)
    with Image.open(path) as opened:
        for source in (path, str(path), path.read_bytes(), opened, COLOURS):
            np.testing.assert_array_equal(read_image(source), COLOURS)


def test_read_image_accepts_arrays_of_every_dtype_and_layout() -> None:
    gray = COLOURS[..., 0]
    same = {
        "one channel": gray[..., None],
        "16 bits": gray.astype(np.uint16) * 257,
        "16 bits of another machine": (gray.astype(np.uint16) * 257).astype(">u2"),
        "float32 of another machine": (gray / 255).astype(">f4"),
        "float32": gray.astype(np.float32) / 255,
        "float64": gray / 255,
        "not contiguous": np.asfortranarray(gray),
    }
    for name, array in same.items():
        read = read_image(array)
        assert read.dtype == np.uint8, name
        np.testing.assert_array_equal(read, np.repeat(gray[..., None], 3, 2), err_msg=name)
    np.testing.assert_array_equal(read_image(COLOURS[..., ::-1], channels="bgr"), COLOURS)


def test_read_image_blends_transparency_with_white(tmp_path: Path) -> None:
    layers = np.dstack([COLOURS, np.full((40, 60), 255, np.uint8)])
    layers[:20, :, 3] = 0
    layers[20, :, 3] = 128
    path = save_picture(tmp_path / "a.png", layers)
    for read in (read_image(layers), read_image(path), read_image(layers / 255)):
        assert (read[:20] == 255).all()
        np.testing.assert_array_equal(read[21:], COLOURS[21:])
        blended = COLOURS[20] * (128 / 255) + 255 * (127 / 255)
        assert np.abs(read[20] - blended).max() <= 1
    in_bgr = read_image(layers[..., [2, 1, 0, 3]], channels="bgr")
    np.testing.assert_array_equal(in_bgr, read_image(layers))
    # Faces for training are read in the same way.
    face, _ = read_picture(path.read_bytes(), 48, formats())
    assert (face[:23] == 255).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((40, 60, 2), np.uint8), r"\(40, 60, 2\).*expected \[H, W\]"),
        (np.zeros(40, np.uint8), r"\(40,\)"),
        (np.zeros((8, 60), np.uint8), "60x8 pixels.*16"),
        (np.full((40, 60), 1.5), "from 1.5 to 1.5.*0 to 1"),
        (np.full((40, 60), np.nan), "0 to 1"),
        (np.zeros((40, 60), np.int64), "int64.*uint8"),
        (np.broadcast_to(np.uint8(0), (10_000, 10_000)), "10000x10000"),
        (None, "NoneType"),
    ],
)
def test_read_image_rejects_invalid_arrays(array: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_image(array)


def test_read_image_applies_the_exif_orientation(tmp_path: Path) -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn: show it turned clockwise
    path = save_picture(tmp_path / "turned.png", pixels, exif=exif)
    with Image.open(path) as opened:
        for source in (path, opened):
            upright = read_image(source)
            assert upright.shape == (80, 40, 3)
            assert (upright[:20] == 255).all()
            assert (upright[20:] == 0).all()


def test_read_image_keeps_the_high_byte_of_sixteen_bits(tmp_path: Path) -> None:
    deep = save_picture(tmp_path / "deep.png", np.full((96, 96), 0x4080, np.uint16))
    assert set(read_image(deep).ravel()) == {0x40}


@pytest.mark.parametrize("format", FORMATS)
def test_read_image_reads_every_format(format: str) -> None:
    data = io.BytesIO()
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    Image.fromarray(smooth).save(data, format)
    assert np.abs(read_image(data.getvalue()).astype(int) - smooth).mean() < 40


def test_read_image_names_unreadable_files(tmp_path: Path) -> None:
    text = tmp_path / "note.png"
    text.write_text("not a picture")
    whole = save_picture(tmp_path / "whole.png", COLOURS).read_bytes()
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(whole[: len(whole) // 2])
    empty = tmp_path / "empty.png"
    empty.touch()
    for path in (text, truncated, empty, tmp_path / "absent.png", tmp_path):
        with pytest.raises(InputError, match=str(path)) as error:
            read_image(path)
        # The formats help where the file has none of them.
        assert ("expected a picture (JPEG, PNG" in str(error.value)) == (path in (text, empty))
    with pytest.raises(InputError, match=r"expected a file: a picture at an address is saved"):
        read_image("https://pictures.example/party.jpg")


# Pillow itself refuses the second.
@pytest.mark.parametrize("size", [(10_000, 8_000), (20_000, 10_000)])
def test_read_image_rejects_too_many_pixels_before_decoding(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", size).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(
        InputError, match=rf"{path}.*{size[0] * size[1]}|{size[0]}x{size[1]} pixels"
    ):
        read_image(path)


def test_read_image_rejects_files_of_too_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_picture(tmp_path / "face.bmp", np.zeros((96, 96), np.uint8))
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 1000)
    for source in (path, path.read_bytes()):
        with pytest.raises(InputError, match="more than"):
            read_image(source)


def test_whole_crops_pictures_as_training_does(tmp_path: Path) -> None:
    """A face of 48 pixels is doubled, one of 192 averaged, colours weighed alike."""
    detector = Whole()
    rng = np.random.default_rng(1)
    for size in (48, 96, 100, 192):
        path = save_picture(
            tmp_path / f"{size}.png", rng.integers(0, 256, (size, size, 3), np.uint8)
        )
        pixels = read_image(path)
        crops, _ = crop_faces(pixels, detector.find_faces(pixels), detector.framing)
        learnt, _ = read_picture(path.read_bytes(), 96, formats())
        np.testing.assert_array_equal(crops[0, ..., 0], learnt)


@pytest.mark.parametrize("size", [(1999, 1001), (640, 3001), (120, 90)])
def test_pictures_are_copied_and_reduced_in_bands_as_at_once(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(picture_files, "_BAND_PIXELS", 10_000)
    monkeypatch.setattr(detectors, "_BAND_PIXELS", 10_000)
    noise = np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), np.uint8)
    picture = Image.fromarray(noise)
    data = io.BytesIO()
    picture.save(data, "PNG")
    assert np.array_equal(read_image(data.getvalue()), noise)
    resized, scale = detectors._resize(noise, 96)
    smaller = tuple(round(side / scale) for side in size)
    expected = picture.resize(smaller, Image.Resampling.BILINEAR, reducing_gap=2.0)
    assert np.array_equal(resized, np.asarray(expected))
