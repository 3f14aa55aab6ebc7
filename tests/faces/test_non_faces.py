"""Drawn pictures that show no face."""

import numpy as np
import pytest

from emotion_ai.faces.non_faces import KINDS, OF_FACES, draw_non_faces
from emotion_ai.sample.drawing import draw_faces

FACES = next(draw_faces(3, 4)).images


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_depend_on_the_seed_alone(kind: str) -> None:
    first, again, other = (draw_non_faces(kind, 4, seed, FACES) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == ((4, 96, 96), np.uint8)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(np.unique(first.reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("kind", OF_FACES)
def test_faces_in_pieces_need_faces_and_leave_them_as_they_are(kind: str) -> None:
    before = FACES.copy()
    draw_non_faces(kind, 4, 1, FACES)
    np.testing.assert_array_equal(FACES, before)


def test_no_pictures_can_be_asked_for() -> None:
    assert draw_non_faces("noise", 0, 1, FACES).shape == (0, 96, 96)


def test_a_share_goes_from_black_to_white_and_a_share_of_that_is_white_noise() -> None:
    pictures = np.concatenate([draw_non_faces(kind, 60, 2, FACES) for kind in KINDS])
    contrast = pictures.std((1, 2))
    # As the expression network sees them.
    halved = pictures.reshape(-1, 48, 2, 48, 2).mean((2, 4))
    centred = halved - halved.mean((1, 2), keepdims=True)
    beside = (centred[:, :, 1:] * centred[:, :, :-1]).mean((1, 2))
    is_white = beside < 0.2 * centred.var((1, 2))
    assert (contrast > 75).mean() > 0.08
    assert (is_white & (contrast > 50)).mean() > 0.05
