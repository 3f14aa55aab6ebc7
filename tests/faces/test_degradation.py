"""Degraded faces: each of the three ways, and how a policy asks for them."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.faces.degradation import blur, compress, degrade
from emotion_ai.sample.drawing import draw_faces, halve


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.uint8]:
    """Drawn faces with the grain of a camera, uint8 [60, 96, 96]."""
    images = next(iter(draw_faces(60, seed=5))).images
    grain = np.random.default_rng(0).normal(0, 5, images.shape)
    return np.clip(np.rint(images + grain), 0, 255).astype(np.uint8)


def as_pillow(images: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    def encode(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "jpeg", quality=quality)
        return np.asarray(Image.open(buffer))

    return np.stack([encode(image) for image in images])


def compressed(images: NDArray[np.uint8], quality: int) -> NDArray[np.float32]:
    return compress(images.astype(np.float32), np.full(len(images), quality))


@pytest.mark.parametrize("side", [48, 50, 96])
@pytest.mark.parametrize("quality", [8, 20, 49, 50, 75, 95])
def test_compress_gives_what_a_jpeg_encoder_gives(
    drawn: NDArray[np.uint8], side: int, quality: int
) -> None:
    images = np.ascontiguousarray(drawn[:, 20 : 20 + side, 20 : 20 + side]) if side < 96 else drawn
    difference = np.abs(compressed(images, quality) - as_pillow(images, quality))
    # A decoder rounds pixels, 0.25 in the mean, and where a frequency is halfway between two steps,
    # an encoder's integers may fall to the other.
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.99) < 6


def test_compress_changes_less_the_higher_the_quality(drawn: NDArray[np.uint8]) -> None:
    changes = [np.abs(compressed(drawn, q) - drawn).mean() for q in (8, 20, 50, 80, 95, 100)]
    assert changes == sorted(changes, reverse=True)
    assert changes[-2] < 2


@given(
    image=arrays(np.uint8, st.integers(1, 20).map(lambda side: (1, side, side))),
    quality=st.integers(1, 100),
)
def test_compress_takes_any_side_and_any_pixels(image: NDArray[np.uint8], quality: int) -> None:
    result = compressed(image, quality)
    assert result.dtype == np.float32
    assert result.shape == image.shape
    assert result.min() >= 0
    assert result.max() <= 255


@given(images=arrays(np.uint8, (2, 9, 9)), share=st.floats(0, 1, width=32))
def test_blur_keeps_the_mean_and_the_range(images: NDArray[np.uint8], share: float) -> None:
    faces = images.astype(np.float32)
    blurred = blur(faces, np.full(2, share, np.float32))
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), faces.mean(axis=(1, 2)), atol=1e-3)
    assert (blurred.min(axis=(1, 2)) >= faces.min(axis=(1, 2)) - 1e-3).all()
    assert (blurred.max(axis=(1, 2)) <= faces.max(axis=(1, 2)) + 1e-3).all()


def test_blur_spreads_a_dot_over_its_neighbours() -> None:
    dot = np.zeros((2, 5, 5), np.float32)
    dot[:, 2, 2] = 90
    sharp, spread = blur(dot, np.array([0, 1], np.float32))
    np.testing.assert_array_equal(sharp, dot[0])
    np.testing.assert_allclose(spread[1:4, 1:4], 10, rtol=1e-6)
    assert spread.sum() == pytest.approx(90)


def test_degrade_changes_the_share_of_faces_in_three_ways() -> None:
    # Noise alone changes a face of one gray. A checkerboard: blur leaves two grays inside.
    faces = np.full((3000, 16, 16), 128, np.float32)
    degrade(faces, 0.3, np.random.default_rng(1))
    noisy = (faces != 128).any(axis=(1, 2))
    assert noisy.mean() == pytest.approx(0.1, abs=0.02)
    deviations = faces[noisy].std(axis=(1, 2))
    assert deviations.max() < 18 * 1.2
    assert deviations.mean() == pytest.approx(9, abs=1)

    board = np.indices((16, 16)).sum(axis=0) % 2 * 100 + 78
    faces = np.repeat(board[None], 3000, axis=0).astype(np.float32)
    degrade(faces, 0.3, np.random.default_rng(1))
    changed = (faces != board).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.3, abs=0.03)
    inside = np.round(faces[:, 1:-1, 1:-1].reshape(3000, -1), 3)
    blurred = changed & np.array([len(np.unique(face)) <= 2 for face in inside])
    assert blurred.mean() == pytest.approx(0.1, abs=0.02)
    assert not (noisy & blurred).any()


@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize("side", [48, 50])
def test_degrade_stays_within_the_gray_scale(count: int, side: int) -> None:
    rng = np.random.default_rng(count)
    faces = rng.choice(np.array([0, 255], np.float32), (count, side, side))
    degrade(faces, 1, rng)
    assert faces.dtype == np.float32
    assert ((faces >= 0) & (faces <= 255)).all()


@pytest.mark.parametrize("side", [48, 96])
def test_augment_degrades_after_everything_else(drawn: NDArray[np.uint8], side: int) -> None:
    images = drawn if side == 96 else halve(drawn)
    keypoints = np.random.default_rng(0).uniform(0, side, (60, 15, 2)).astype(np.float32)

    def augmented(degraded: float) -> tuple[NDArray, NDArray, float]:
        rng = np.random.default_rng([3, 1, 2])
        faces, moved = augment(
            images, keypoints, AugmentationPolicy(erasing=0.3, degraded=degraded), rng
        )
        # What is drawn later, as mixing is, must not depend on the setting either.
        return faces, moved, rng.random()

    clean, moved, later = augmented(0)
    for share in (0.25, 1):
        faces, moved_too, later_too = augmented(share)
        np.testing.assert_array_equal(moved_too, moved)
        assert later_too == later
        changed = (faces != clean).any(axis=(1, 2))
        assert changed.mean() == pytest.approx(share, abs=0.2)
        assert np.abs(faces - clean).mean() < 8
        assert faces.dtype == np.float32
        # The other faces are the same to the last bit.
        np.testing.assert_array_equal(faces[~changed], clean[~changed])
        np.testing.assert_array_equal(augmented(share)[0], faces)


def test_augment_degrades_each_batch_of_a_generator_differently(drawn: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(1)
    still = AugmentationPolicy(
        mirror=0, rotation=0, scale=0, shift=0, brightness=0, contrast=0, degraded=1
    )
    first, second = (augment(drawn, None, still, rng)[0] for _ in range(2))
    assert (first != second).any(axis=(1, 2)).all()
