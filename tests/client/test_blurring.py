"""Hidden faces: nothing of them is left to find, to mark or to recognise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_ai import Analyzer, Box, open_detector
from emotion_ai.client.blurring import hide_faces

from support.photographs import portrait

BOX = Box(60, 50, 80, 100)


def test_sixteen_colours_are_left_of_a_face_and_of_what_is_around_it() -> None:
    image = np.random.default_rng(1).integers(0, 256, (240, 200, 3), np.uint8)
    before = image.copy()
    hidden = hide_faces(image, [BOX])
    assert (image == before).all()
    # A quarter of the box's sides around it.
    area = hidden[25:175, 40:160]
    assert len(np.unique(area.reshape(-1, 3), axis=0)) == 16
    assert np.abs(area.mean((0, 1)) - image[25:175, 40:160].mean((0, 1))).max() < 1
    outside = hidden.copy()
    outside[25:175, 40:160] = image[25:175, 40:160]
    assert (outside == image).all()


@settings(max_examples=40)
@given(
    st.lists(st.builds(Box, *[st.floats(-300, 600)] * 2, *[st.floats(0.1, 900)] * 2), max_size=3)
)
def test_faces_may_be_anywhere(boxes: list[Box]) -> None:
    image = np.full((60, 50, 3), 127, np.uint8)
    assert hide_faces(image, boxes).shape == image.shape


def test_the_networks_find_and_mark_no_face_that_is_hidden() -> None:
    analyzer = Analyzer()
    (face,) = analyzer.predict(portrait())
    hidden = hide_faces(portrait(), [face.box])
    assert open_detector("yunet:960").find_faces(hidden) == []
    with_blocks = analyzer.predict(hidden, boxes=[face.box])[0].keypoints
    # What a network that sees the face's place alone is wrong by: a mean face.
    blank = np.full_like(hidden, 128)
    without = analyzer.predict(blank, boxes=[face.box])[0].keypoints
    wrong, guessed = (
        float(np.sqrt(((points - face.keypoints) ** 2).mean())) for points in (with_blocks, without)
    )
    assert wrong == pytest.approx(guessed, rel=0.6)
    assert wrong > 0.04 * face.box.width
