"""Tests of `sources.pixels`, against a simple parser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from emotion_ai.sources.pixels import parse_pixels

from support.face_csv import pixel_text, random_images


def parse_simply(text: bytes, size: int) -> list[int] | None:
    """Return the pixels, or None if the text is not size x size whole numbers 0-255."""
    words = text.split(b" ")
    words = [word for word in words if word]
    if len(words) != size * size:
        return None
    if not all(word.isdigit() and len(word) <= 3 and int(word) <= 255 for word in words):
        return None
    return [int(word) for word in words]


@given(numpy_strategies.arrays(np.uint8, (5, 3, 3)))
def test_parse_pixels_reads_written_pixels(images: np.ndarray) -> None:
    parsed, bad = parse_pixels([pixel_text(image).encode() for image in images], 3)
    assert bad == []
    assert np.array_equal(parsed, images)


@given(
    st.lists(
        st.one_of(
            st.lists(st.integers(0, 1200), min_size=3, max_size=5).map(
                lambda values: " ".join(map(str, values)).encode()
            ),
            st.text("0127 59,-.x\t", max_size=16).map(str.encode),
        ),
        max_size=40,
    )
)
def test_parse_pixels_agrees_with_the_simple_parser(texts: list[bytes]) -> None:
    parsed, bad = parse_pixels(texts, 2)
    refused = {each.position for each in bad}
    for position, text in enumerate(texts):
        expected = parse_simply(text, 2)
        assert (position in refused) == (expected is None), text
        if expected is not None:
            assert parsed[position].ravel().tolist() == expected


@pytest.mark.parametrize(
    ("text", "check", "message"),
    [
        (b"1 2 3", "pixel_count", "3 pixels, expected 4 (2x2)"),
        (b"", "pixel_count", "0 pixels, expected 4 (2x2)"),
        (b"1 2 256 4", "pixel_value", "pixel 2 is '256', expected a whole number 0-255"),
        (b"1 -2 3 4", "pixel_value", "pixel 1 is '-2', expected a whole number 0-255"),
        (b"1 2 3 4.5", "pixel_value", "pixel 3 is '4.5', expected a whole number 0-255"),
        (b"1 2 \xff 4", "pixel_value", "pixel 2 is '\ufffd', expected a whole number 0-255"),
        (b"1\t2\t3\t4", "pixel_value", "pixels are not separated by blanks"),
    ],
)
def test_parse_pixels_describes_the_error(text: bytes, check: str, message: str) -> None:
    _, bad = parse_pixels([b"1 2 3 4", text], 2)
    assert [(each.position, each.check, each.message) for each in bad] == [(1, check, message)]


def test_missing_pixel_is_not_taken_from_the_next_row() -> None:
    parsed, bad = parse_pixels([b"1 2 3", b"4 5 6 7 8", b"9 9 9 9"], 2)
    assert [each.position for each in bad] == [0, 1]
    assert parsed[2].tolist() == [[9, 9], [9, 9]]


def test_parse_pixels_of_no_rows() -> None:
    parsed, bad = parse_pixels([], 48)
    assert parsed.shape == (0, 48, 48)
    assert bad == []


def test_parse_pixels_keeps_the_order_across_batches() -> None:
    images = random_images(100, 4)
    parsed, _ = parse_pixels([pixel_text(image).encode() for image in images], 4)
    assert np.array_equal(parsed, images)
