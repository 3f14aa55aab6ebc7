"""Pictures in every format, and damaged or foreign bytes."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emotion_ai.faces.picture_files import MAX_PIXELS, PictureError, formats, read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
LOSSLESS = ("PNG", "BMP", "GIF", "TIFF", "PPM", "TGA", "PCX", "SGI", "IM", "DIB", "JPEG2000")
LOSSY = ("JPEG", "WEBP", "AVIF")


def encode(format: str, pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", LOSSLESS)
def test_read_picture_keeps_gray_pixels_of_the_right_size(format: str) -> None:
    face, size = read_picture(encode(format), 48, formats())
    assert size == (48, 48)
    np.testing.assert_array_equal(face, PIXELS)


def test_read_picture_reads_the_first_frame_of_an_animation() -> None:
    frames = [Image.fromarray(255 - PIXELS)]
    face, _ = read_picture(encode("GIF", save_all=True, append_images=frames), 48, formats())
    np.testing.assert_array_equal(face, PIXELS)


def test_read_picture_rejects_formats_not_accepted() -> None:
    with pytest.raises(PictureError, match=r"a TIFF or raw photo, .* not read"):
        read_picture(encode("TIFF"), 48, ("PNG", "JPEG"))


def test_formats_excludes_postscript() -> None:
    with pytest.raises(PictureError, match="not a picture"):
        read_picture(encode("EPS"), 48, formats())


def test_read_picture_rejects_an_icon_with_a_large_picture() -> None:
    side = 10_000
    assert side * side > MAX_PIXELS
    inner = io.BytesIO()
    Image.new("1", (side, side)).save(inner, "PNG")
    entry = struct.pack("<BBBBHHII", 48, 48, 0, 0, 1, 32, len(inner.getvalue()), 22)
    icon = struct.pack("<HHH", 0, 1, 1) + entry + inner.getvalue()
    with pytest.raises(PictureError, match=r"too large|pixels"):
        read_picture(icon, 48, formats())


@given(
    format=st.sampled_from([*LOSSLESS, *LOSSY]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 4000),
)
def test_read_picture_decodes_or_rejects_damaged_files(
    format: str, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(encode(format))
    for position, value in changes:
        data[position % len(data)] = value
    try:
        face, _ = read_picture(bytes(data[:length] if length % 2 else data), 48, formats())
    except PictureError:
        return
    assert face.shape == (48, 48)
    assert face.dtype == np.uint8


@given(data=st.binary(max_size=300))
def test_read_picture_decodes_or_rejects_any_bytes(data: bytes) -> None:
    try:
        face, _ = read_picture(data, 48, formats())
    except PictureError:
        return
    assert face.shape == (48, 48)
