"""Affine matrices move pixels and keypoints together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotion_ai.faces.geometry import (
    affine_matrices,
    mirror_faces,
    move_keypoints,
    swap_sides,
    warp,
)
from emotion_ai.faces.keypoints import NAMES


@given(
    images=arrays(np.uint8, st.tuples(st.integers(0, 3), st.just(6), st.integers(2, 7))),
    data=st.data(),
)
def test_mirroring_twice_is_the_identity(images, data):
    # Halves are exact, so that the coordinates come back to the last bit.
    halves = data.draw(arrays(np.int16, (len(images), 15, 2), elements=st.integers(-50, 250)))
    keypoints = halves.astype(np.float32) / 2
    keypoints[halves == 7] = np.nan
    back = mirror_faces(*mirror_faces(images, keypoints))
    np.testing.assert_array_equal(back[0], images)
    np.testing.assert_array_equal(back[1], keypoints)


@given(
    x=st.floats(30, 65),
    y=st.floats(30, 65),
    mirrored=st.booleans(),
    degrees=st.floats(-180, 180),
    scale=st.floats(0.8, 1.25),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
)
def test_a_keypoint_stays_on_its_pixel(x, y, mirrored, degrees, scale, shift):
    image = _dot(x, y)
    matrices = affine_matrices(96, [mirrored], [degrees], [scale], [shift])
    moved = move_keypoints(np.full((1, 15, 2), (x, y)), matrices)[0, 0]
    np.testing.assert_allclose(_centroid(warp(image[None], matrices)[0]), moved, atol=0.2)


def test_the_identity_returns_the_very_pixels():
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    same = affine_matrices(48, [False] * 5, np.zeros(5), np.ones(5), np.zeros((5, 2)))
    np.testing.assert_array_equal(warp(images, same), images)


def test_the_mirroring_matrix_does_what_mirror_faces_does():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (3, 96, 96), dtype=np.uint8)
    keypoints = rng.uniform(0, 95, (3, 15, 2)).astype(np.float32)
    matrices = affine_matrices(96, [True] * 3, np.zeros(3), np.ones(3), np.zeros((3, 2)))
    flipped, swapped = mirror_faces(images, keypoints)
    np.testing.assert_allclose(warp(images, matrices), flipped, atol=1e-2)
    np.testing.assert_allclose(swap_sides(move_keypoints(keypoints, matrices)), swapped, atol=1e-4)


def test_a_mirrored_left_eye_is_the_right_eye():
    keypoints = np.zeros((1, 15, 2), np.float32)
    keypoints[0, NAMES.index("left_eye_center")] = (66, 37)
    _, mirrored = mirror_faces(np.zeros((1, 96, 96), np.uint8), keypoints)
    np.testing.assert_array_equal(mirrored[0, NAMES.index("right_eye_center")], (29, 37))


def test_what_comes_from_outside_continues_the_edge():
    image = np.tile(np.arange(10, 58, dtype=np.uint8), (48, 1))
    right = affine_matrices(48, [False], [0.0], [1.0], [(20, 0)])
    moved = warp(image[None], right)[0]
    assert (moved[:, :20] == 10).all()
    np.testing.assert_array_equal(moved[:, 20:], image[:, :28])


@given(degrees=st.floats(-180, 180), scale=st.floats(0.3, 3), shift=st.floats(-100, 100))
def test_an_even_image_stays_even(degrees, scale, shift):
    matrices = affine_matrices(48, [False], [degrees], [scale], [(shift, -shift)])
    assert (warp(np.full((1, 48, 48), 77, np.uint8), matrices) == 77).all()


def test_missing_keypoints_stay_missing():
    keypoints = np.full((2, 15, 2), 40, np.float32)
    keypoints[1, 3] = np.nan
    matrices = affine_matrices(96, [True, False], [5, 5], [1.1, 1.1], np.ones((2, 2)))
    np.testing.assert_array_equal(
        np.isnan(move_keypoints(keypoints, matrices)), np.isnan(keypoints)
    )


@pytest.mark.parametrize(("degrees", "corner"), [(90, (95, 0)), (-90, (0, 95))])
def test_positive_degrees_turn_clockwise(degrees, corner):
    top_left = np.zeros((1, 15, 2), np.float32)
    matrices = affine_matrices(96, [False], [degrees], [1.0], np.zeros((1, 2)))
    np.testing.assert_allclose(move_keypoints(top_left, matrices)[0, 0], corner, atol=1e-4)


def _dot(x: float, y: float) -> np.ndarray:
    """A soft spot with its centre at (x, y)."""
    columns, lines = np.arange(96), np.arange(96)[:, None]
    distance = (columns - x) ** 2 + (lines - y) ** 2
    return 255 * np.exp(-distance / (2 * 1.5**2))


def _centroid(image: np.ndarray) -> tuple[float, float]:
    columns, lines = np.arange(96), np.arange(96)[:, None]
    return (image * columns).sum() / image.sum(), (image * lines).sum() / image.sum()
