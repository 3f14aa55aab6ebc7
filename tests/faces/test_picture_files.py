"""Pictures in every format, and bytes that only look like one."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emotion_ai.faces.picture_files import MAX_PIXELS, NoPicture, formats, read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
LOSSLESS = ("PNG", "BMP", "GIF", "TIFF", "PPM", "TGA", "PCX", "SGI", "IM", "DIB", "JPEG2000")
LOSSY = ("JPEG", "WEBP", "AVIF")


def saved(format: str, pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", LOSSLESS)
def test_a_gray_picture_of_the_size_stays_as_it_is(format: str) -> None:
    face, size = read_picture(saved(format), 48, formats())
    assert size == (48, 48)
    np.testing.assert_array_equal(face, PIXELS)


def test_the_first_picture_of_an_animation_counts() -> None:
    others = [Image.fromarray(255 - PIXELS)]
    face, _ = read_picture(saved("GIF", save_all=True, append_images=others), 48, formats())
    np.testing.assert_array_equal(face, PIXELS)


def test_only_the_accepted_formats_are_read() -> None:
    with pytest.raises(NoPicture, match="not a picture"):
        read_picture(saved("TIFF"), 48, ("PNG", "JPEG"))


def test_postscript_is_never_run() -> None:
    with pytest.raises(NoPicture, match="not a picture"):
        read_picture(saved("EPS"), 48, formats())


def test_an_icon_cannot_hide_a_large_picture() -> None:
    side = 10_000
    assert side * side > MAX_PIXELS
    inner = io.BytesIO()
    Image.new("1", (side, side)).save(inner, "PNG")
    entry = struct.pack("<BBBBHHII", 48, 48, 0, 0, 1, 32, len(inner.getvalue()), 22)
    icon = struct.pack("<HHH", 0, 1, 1) + entry + inner.getvalue()
    with pytest.raises(NoPicture, match=r"too large|pixels"):
        read_picture(icon, 48, formats())


@given(
    format=st.sampled_from([*LOSSLESS, *LOSSY]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8),
    length=st.integers(0, 4000),
)
def test_damaged_pictures_are_faces_or_no_pictures(
    format: str, changes: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(saved(format))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        face, _ = read_picture(bytes(data[:length] if length % 2 else data), 48, formats())
    except NoPicture:
        return
    assert face.shape == (48, 48)
    assert face.dtype == np.uint8


@given(data=st.binary(max_size=300))
def test_other_bytes_are_faces_or_no_pictures(data: bytes) -> None:
    try:
        face, _ = read_picture(data, 48, formats())
    except NoPicture:
        return
    assert face.shape == (48, 48)
