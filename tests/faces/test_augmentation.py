"""The augmentation policy, and its effect on faces and their keypoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.errors import InputError
from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.settings import validate_settings

NO_AUGMENTATION = {
    "mirror": 0, "rotation": 0, "scale": 0, "shift": 0,
    "brightness": 0, "contrast": 0, "erasing": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    return next(iter(draw_faces(40, seed=5)))


def checked_policy(settings: dict) -> AugmentationPolicy:
    return validate_settings(AugmentationPolicy, settings, "augmentation")


def policy_with(**amounts: float) -> AugmentationPolicy:
    return checked_policy(NO_AUGMENTATION | amounts)


def test_augment_without_amounts_changes_nothing(drawn):
    images, keypoints = augment(
        drawn.images, drawn.keypoints, policy_with(), np.random.default_rng(0)
    )
    np.testing.assert_allclose(images, drawn.images, atol=1e-3)
    np.testing.assert_allclose(keypoints, drawn.keypoints, atol=1e-4)
    assert images.dtype == keypoints.dtype == np.float32


def test_augment_is_reproducible_from_the_generator(drawn):
    policy = AugmentationPolicy(erasing=0.5)
    first, second = (
        augment(drawn.images, drawn.keypoints, policy, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert np.abs(first[0] - drawn.images).mean() > 1


def test_augment_mirror_keeps_the_persons_left(drawn):
    _, keypoints = augment(
        drawn.images, drawn.keypoints, policy_with(mirror=1), np.random.default_rng(0)
    )
    for part in ("eye_center", "eyebrow_outer_end"):
        left, right = (keypoints[:, NAMES.index(f"{side}_{part}"), 0] for side in ("left", "right"))
        assert (left > right).all()
    np.testing.assert_allclose(
        keypoints[:, NAMES.index("nose_tip"), 0],
        95 - drawn.keypoints[:, NAMES.index("nose_tip"), 0],
        atol=1e-4,
    )


@given(seed=st.integers(0, 10_000))
def test_augment_keeps_the_keypoint_bias(seed):
    policy = {"mirror": 0.5, "rotation": 30, "scale": 0.2, "shift": 0.1}
    unbiased = np.random.default_rng(seed).uniform(20, 70, (8, 15, 2)).astype(np.float32)
    bias = np.array([2, 0], np.float32)
    faces = np.zeros((8, 96, 96), np.uint8)
    _, moved = augment(faces, unbiased, policy_with(**policy), np.random.default_rng(1))
    policy["keypoint_bias"] = 2
    _, moved_biased = augment(
        faces, unbiased + bias, policy_with(**policy), np.random.default_rng(1)
    )
    np.testing.assert_allclose(moved_biased, moved + bias, atol=1e-3)


@given(seed=st.integers(0, 10_000))
def test_augment_moves_pixels_and_keypoints_together(seed):
    policy = AugmentationPolicy(mirror=0.5, rotation=30, scale=0.2, shift=0.1)
    columns, rows = np.arange(96), np.arange(96)[:, None]
    dot = 200 * np.exp(-((columns - 52) ** 2 + (rows - 41) ** 2) / 4.5)
    keypoints = np.full((1, 15, 2), (52, 41), np.float32)
    images, moved = augment(dot[None], keypoints, policy, np.random.default_rng(seed))
    brightest = np.unravel_index(images[0].argmax(), (96, 96))
    np.testing.assert_allclose(brightest[::-1], moved[0, 0], atol=0.8)


def test_augment_light_stays_within_the_gray_scale(drawn):
    policy = policy_with(brightness=0.5, contrast=0.9)
    images, keypoints = augment(drawn.images, None, policy, np.random.default_rng(1))
    assert keypoints is None
    assert images.min() == 0
    assert images.max() == 255
    assert np.ptp(images.mean(axis=(1, 2)) - drawn.images.mean(axis=(1, 2))) > 50


def test_augment_erasing_fills_one_rectangle_with_one_gray():
    uniform = np.full((200, 48, 48), 100, np.uint8)
    images, _ = augment(
        uniform, None, policy_with(erasing=0.5, erasing_size=0.4), np.random.default_rng(2)
    )
    erased = [image for image in images if (image != 100).any()]
    assert 70 < len(erased) < 130
    for image in erased:
        rows, columns = np.nonzero(image != 100)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        assert min(height, width) >= 9
        assert max(height, width) <= 20
        assert len(np.unique(image)) == 2


def test_augment_settings_do_not_shift_each_others_draws(drawn):
    with_light, without = (
        augment(drawn.images, drawn.keypoints, policy, np.random.default_rng(4))[1]
        for policy in (AugmentationPolicy(), AugmentationPolicy(brightness=0, erasing=0.9))
    )
    np.testing.assert_array_equal(with_light, without)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"mirror": 1.5}, "augmentation.mirror = 1.5"),
        ({"rotation": -1}, "augmentation.rotation = -1"),
        ({"flip": 0.5}, "augmentation.flip is unknown"),
        ({"scale": "much"}, "augmentation.scale = 'much'"),
        ({"shift": float("nan")}, "augmentation.shift = nan"),
    ],
)
def test_augmentation_policy_names_an_invalid_setting(settings, named):
    with pytest.raises(InputError, match=named):
        checked_policy(settings)


def test_augmentation_policy_round_trips_through_its_dump():
    policy = AugmentationPolicy(rotation=7, erasing=0.2)
    assert checked_policy(policy.model_dump()) == policy
    assert all(type(value) is float for value in policy.model_dump().values())
