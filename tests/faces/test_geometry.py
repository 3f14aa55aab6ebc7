"""Affine matrices, and images and keypoints that they move."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotion_ai.faces.geometry import (
    affine_matrices,
    move_keypoints,
    swap_left_right,
    warp,
)
from emotion_ai.faces.keypoints import MIRROR, NAMES


def _mirror(images: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count, size = images.shape[:2]
    unchanged = np.zeros(count), np.ones(count), np.zeros((count, 2))
    matrices = affine_matrices(size, [True] * count, *unchanged)
    return warp(images, matrices), swap_left_right(move_keypoints(keypoints, matrices))


def _dot(x: float, y: float) -> np.ndarray:
    """Draw a soft dot with its centre at (x, y)."""
    columns, rows = np.arange(96), np.arange(96)[:, None]
    distance = (columns - x) ** 2 + (rows - y) ** 2
    return 255 * np.exp(-distance / (2 * 1.5**2))


def _centroid(image: np.ndarray) -> tuple[float, float]:
    columns, rows = np.arange(96), np.arange(96)[:, None]
    return (image * columns).sum() / image.sum(), (image * rows).sum() / image.sum()


@given(count=st.integers(0, 3), size=st.integers(2, 7), data=st.data())
def test_affine_matrices_mirrored_twice_are_the_identity(count, size, data):
    images = data.draw(arrays(np.uint8, (count, size, size)))
    # Halves are exact in binary, so the coordinates are equal to the last bit.
    halves = data.draw(arrays(np.int16, (count, 15, 2), elements=st.integers(-50, 250)))
    keypoints = halves.astype(np.float32) / 2
    keypoints[(halves == 7).any(axis=-1)] = np.nan
    mirrored_images, mirrored_keypoints = _mirror(*_mirror(images, keypoints))
    np.testing.assert_array_equal(mirrored_images, images)
    np.testing.assert_array_equal(mirrored_keypoints, keypoints)


@given(
    x=st.floats(30, 65),
    y=st.floats(30, 65),
    mirrored=st.booleans(),
    degrees=st.floats(-180, 180),
    scale=st.floats(0.8, 1.25),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
)
def test_warp_and_move_keypoints_agree(x, y, mirrored, degrees, scale, shift):
    image = _dot(x, y)
    matrices = affine_matrices(96, [mirrored], [degrees], [scale], [shift])
    moved = move_keypoints(np.full((1, 15, 2), (x, y)), matrices)[0, 0]
    np.testing.assert_allclose(_centroid(warp(image[None], matrices)[0]), moved, atol=0.2)


def test_warp_identity_returns_the_same_pixels():
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
    identity = affine_matrices(48, [False] * 5, np.zeros(5), np.ones(5), np.zeros((5, 2)))
    np.testing.assert_array_equal(warp(images, identity), images)


def test_affine_matrices_mirror_flips_columns():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (3, 96, 96), dtype=np.uint8)
    keypoints = rng.uniform(0, 95, (3, 15, 2)).astype(np.float32)
    mirrored_images, mirrored_keypoints = _mirror(images, keypoints)
    flipped = np.stack([95 - keypoints[..., 0], keypoints[..., 1]], axis=-1)
    np.testing.assert_allclose(mirrored_images, images[:, :, ::-1], atol=1e-2)
    np.testing.assert_allclose(mirrored_keypoints, flipped[:, MIRROR], atol=1e-4)


def test_swap_left_right_makes_the_mirrored_left_eye_the_right_eye():
    keypoints = np.zeros((1, 15, 2), np.float32)
    keypoints[0, NAMES.index("left_eye_center")] = (66, 37)
    _, mirrored = _mirror(np.zeros((1, 96, 96), np.uint8), keypoints)
    np.testing.assert_array_equal(mirrored[0, NAMES.index("right_eye_center")], (29, 37))


def test_warp_repeats_edge_pixels_outside_the_image():
    image = np.tile(np.arange(10, 58, dtype=np.uint8), (48, 1))
    right = affine_matrices(48, [False], [0.0], [1.0], [(20, 0)])
    moved = warp(image[None], right)[0]
    assert (moved[:, :20] == 10).all()
    np.testing.assert_array_equal(moved[:, 20:], image[:, :28])


@given(degrees=st.floats(-180, 180), scale=st.floats(0.3, 3), shift=st.floats(-100, 100))
def test_warp_keeps_a_uniform_image_uniform(degrees, scale, shift):
    matrices = affine_matrices(48, [False], [degrees], [scale], [(shift, -shift)])
    assert (warp(np.full((1, 48, 48), 77, np.uint8), matrices) == 77).all()


def test_move_keypoints_keeps_nan():
    keypoints = np.full((2, 15, 2), 40, np.float32)
    keypoints[1, 3] = np.nan
    matrices = affine_matrices(96, [True, False], [5, 5], [1.1, 1.1], np.ones((2, 2)))
    np.testing.assert_array_equal(
        np.isnan(move_keypoints(keypoints, matrices)), np.isnan(keypoints)
    )


@pytest.mark.parametrize(("degrees", "corner"), [(90, (95, 0)), (-90, (0, 95))])
def test_affine_matrices_positive_degrees_rotate_clockwise(degrees, corner):
    top_left = np.zeros((1, 15, 2), np.float32)
    matrices = affine_matrices(96, [False], [degrees], [1.0], np.zeros((1, 2)))
    np.testing.assert_allclose(move_keypoints(top_left, matrices)[0, 0], corner, atol=1e-4)
