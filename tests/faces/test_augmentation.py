"""The augmentation policy, and what it does to faces and their keypoints."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_ai.errors import InputError
from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.settings import validate_settings

NOTHING = {
    "mirror": 0, "rotation": 0, "scale": 0, "shift": 0,
    "brightness": 0, "contrast": 0, "erasing": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    return next(iter(draw_faces(40, seed=5)))


def checked_policy(settings: dict) -> AugmentationPolicy:
    return validate_settings(AugmentationPolicy, settings, "augmentation")


def only(**amounts: float) -> AugmentationPolicy:
    return checked_policy(NOTHING | amounts)


def test_a_policy_of_nothing_changes_nothing(drawn):
    images, keypoints = augment(drawn.images, drawn.keypoints, only(), np.random.default_rng(0))
    np.testing.assert_allclose(images, drawn.images, atol=1e-3)
    np.testing.assert_allclose(keypoints, drawn.keypoints, atol=1e-4)
    assert images.dtype == keypoints.dtype == np.float32


def test_the_same_generator_gives_the_same_faces(drawn):
    policy = AugmentationPolicy(erasing=0.5)
    one, other = (
        augment(drawn.images, drawn.keypoints, policy, np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert np.abs(one[0] - drawn.images).mean() > 1


def test_the_persons_left_stays_left_when_mirrored(drawn):
    _, keypoints = augment(drawn.images, drawn.keypoints, only(mirror=1), np.random.default_rng(0))
    for part in ("eye_center", "eyebrow_outer_end"):
        left, right = (keypoints[:, NAMES.index(f"{side}_{part}"), 0] for side in ("left", "right"))
        assert (left > right).all()
    np.testing.assert_allclose(
        keypoints[:, NAMES.index("nose_tip"), 0],
        95 - drawn.keypoints[:, NAMES.index("nose_tip"), 0],
        atol=1e-4,
    )


@given(seed=st.integers(0, 10_000))
def test_what_stands_two_pixels_right_of_its_mark_still_does(seed):
    policy = {"mirror": 0.5, "rotation": 30, "scale": 0.2, "shift": 0.1}
    marked = np.random.default_rng(seed).uniform(20, 70, (8, 15, 2)).astype(np.float32)
    two_right = np.array([2, 0], np.float32)
    faces = np.zeros((8, 96, 96), np.uint8)
    _, moved = augment(faces, marked, only(**policy), np.random.default_rng(1))
    policy["keypoint_bias"] = 2
    _, of_biased = augment(faces, marked + two_right, only(**policy), np.random.default_rng(1))
    np.testing.assert_allclose(of_biased, moved + two_right, atol=1e-3)


@given(seed=st.integers(0, 10_000))
def test_a_dot_on_a_keypoint_is_still_under_it(seed):
    policy = AugmentationPolicy(mirror=0.5, rotation=30, scale=0.2, shift=0.1)
    columns, lines = np.arange(96), np.arange(96)[:, None]
    spot = 200 * np.exp(-((columns - 52) ** 2 + (lines - 41) ** 2) / 4.5)
    keypoints = np.full((1, 15, 2), (52, 41), np.float32)
    images, moved = augment(spot[None], keypoints, policy, np.random.default_rng(seed))
    brightest = np.unravel_index(images[0].argmax(), (96, 96))
    np.testing.assert_allclose(brightest[::-1], moved[0, 0], atol=0.8)


def test_light_changes_stay_within_the_gray_scale(drawn):
    policy = only(brightness=0.5, contrast=0.9)
    images, keypoints = augment(drawn.images, None, policy, np.random.default_rng(1))
    assert keypoints is None
    assert images.min() == 0
    assert images.max() == 255
    assert np.ptp(images.mean(axis=(1, 2)) - drawn.images.mean(axis=(1, 2))) > 50


def test_erasing_paints_one_rectangle_of_one_gray():
    even = np.full((200, 48, 48), 100, np.uint8)
    images, _ = augment(even, None, only(erasing=0.5, erasing_size=0.4), np.random.default_rng(2))
    touched = [image for image in images if (image != 100).any()]
    assert 70 < len(touched) < 130
    for image in touched:
        lines, columns = np.nonzero(image != 100)
        height, width = np.ptp(lines) + 1, np.ptp(columns) + 1
        assert len(lines) == height * width
        assert min(height, width) >= 9
        assert max(height, width) <= 20
        assert len(np.unique(image)) == 2


def test_one_setting_leaves_the_draws_of_the_others_alone(drawn):
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
def test_a_wrong_setting_is_named(settings, named):
    with pytest.raises(InputError, match=named):
        checked_policy(settings)


def test_a_policy_survives_its_way_through_faces_json():
    policy = AugmentationPolicy(rotation=7, erasing=0.2)
    assert checked_policy(policy.model_dump()) == policy
    assert all(type(value) is float for value in policy.model_dump().values())
