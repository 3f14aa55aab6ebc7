"""Why an answer is none, by the picture and the head's pose."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from emotion_ai.faces.head_pose import Pose
from emotion_ai.faces.reasons import (
    AMBIGUOUS,
    BLURRED,
    NOT_A_FACE,
    TOO_SMALL,
    TURNED_AWAY,
    picture_reason,
    pose_reason,
    sharpness,
)
from emotion_ai.sample.drawing import draw_faces

FACES = next(draw_faces(20, 4)).images


def blurred(radius: float) -> np.ndarray:
    pictures = [Image.fromarray(face).filter(ImageFilter.GaussianBlur(radius)) for face in FACES]
    return np.array([np.asarray(picture) for picture in pictures])[..., None]


def test_a_face_as_it_is_gets_the_answer_of_the_networks() -> None:
    for face in FACES[..., None]:
        assert picture_reason(face, 96, "") == ""
        assert picture_reason(face, 24, AMBIGUOUS) == AMBIGUOUS
        assert picture_reason(face, 24, NOT_A_FACE) == NOT_A_FACE


def test_small_faces_are_told_before_anything_else() -> None:
    assert picture_reason(blurred(6)[0], 23.9, NOT_A_FACE) == TOO_SMALL


def test_faces_are_blurred_from_some_radius_on() -> None:
    # In pixels of 96: a blur of three pixels of 48 hides what an emotion is read from.
    assert {picture_reason(face, 96, NOT_A_FACE) for face in blurred(6)} == {BLURRED}
    assert {picture_reason(face, 96, "") for face in blurred(0.5)} == {""}


def test_sharpness_does_not_depend_on_light() -> None:
    dark = (FACES[0] // 4 + 10).astype(np.uint8)
    assert sharpness(dark) == pytest.approx(sharpness(FACES[0]), rel=0.1)


@pytest.mark.parametrize("gray", [0, 128, 255])
def test_a_plain_picture_is_not_sharp(gray: int) -> None:
    assert sharpness(np.full((96, 96), gray, np.uint8)) == 0


@pytest.mark.parametrize(
    ("pose", "before", "expected"),
    [
        (Pose(0, 0, 170), "", ""),
        (Pose(40, -40, 0), AMBIGUOUS, AMBIGUOUS),
        (Pose(-41, 0, 0), AMBIGUOUS, TURNED_AWAY),
        (Pose(0, 41, 0), "", TURNED_AWAY),
        (Pose(60, 0, 0), BLURRED, BLURRED),
        (None, "", NOT_A_FACE),
        (None, TOO_SMALL, TOO_SMALL),
        (Pose(60, 0, 0), "a reason of a later release", "a reason of a later release"),
    ],
    ids=["upright", "limit", "left", "up", "blurred", "none", "small", "unknown"],
)
def test_pose_speaks_where_nothing_else_does(pose: Pose | None, before: str, expected: str) -> None:
    assert pose_reason(pose, before) == expected
