"""Drawn faces: the keypoints lie where they say, and the emotions can be told apart."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.sample.drawing import draw_faces, halve


@pytest.fixture(scope="module")
def drawn():
    blocks = list(draw_faces(980, seed=2))
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]


def _around(images, points, radius):
    """Mean gray of the square about each face's point."""
    x, y = np.rint(points).astype(int).T
    means = [
        image[max(b - radius, 0) : b + radius + 1, max(a - radius, 0) : a + radius + 1].mean()
        for image, a, b in zip(images, x, y, strict=True)
    ]
    return np.array(means)


def test_keypoints_lie_within_the_frame_and_left_is_the_persons_own(drawn):
    _, keypoints, _ = drawn
    assert keypoints.min() > 0
    assert keypoints.max() < 95.5
    for name in NAMES:
        if name.startswith("left") or name == "mouth_left_corner":
            left = keypoints[:, NAMES.index(name), 0]
            right = keypoints[:, NAMES.index(name.replace("left", "right")), 0]
            assert (left > right).all(), name


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_eye_is_dark_where_its_keypoint_is(drawn, side):
    images, keypoints, _ = drawn
    eye = keypoints[:, NAMES.index(f"{side}_eye_center")]
    cheek = (keypoints[:, NAMES.index(f"mouth_{side}_corner")] + eye) / 2
    darker = _around(images, eye, 1) < _around(images, cheek, 1) - 10
    assert darker.mean() > 0.97


def test_lips_are_darker_than_the_skin_beyond_their_keypoints(drawn):
    images, keypoints, _ = drawn
    top, bottom = (
        keypoints[:, NAMES.index(f"mouth_center_{lip}_lip")] for lip in ("top", "bottom")
    )
    down = (bottom - top) / np.linalg.norm(bottom - top, axis=1, keepdims=True)
    inside, outside = _around(images, top + 1.5 * down, 0), _around(images, top - 2.5 * down, 0)
    assert (inside < outside).mean() > 0.9


def test_brow_ends_are_darker_than_the_forehead_between(drawn):
    images, keypoints, _ = drawn
    left, right = (
        keypoints[:, NAMES.index(f"{side}_eyebrow_inner_end")] for side in ("left", "right")
    )
    onto_brow = (left - right) / np.linalg.norm(left - right, axis=1, keepdims=True)
    between = _around(images, (left + right) / 2, 0)
    assert (_around(images, left + onto_brow * 1.5, 0) < between).mean() > 0.93
    assert (_around(images, right - onto_brow * 1.5, 0) < between).mean() > 0.93


def test_faces_differ_in_light_and_place(drawn):
    images, keypoints, _ = drawn
    assert images.mean(axis=(1, 2)).std() > 20
    assert (keypoints.std(axis=0) > 2).all()


def test_emotions_can_be_told_apart_but_not_without_error(drawn):
    _, keypoints, emotions = drawn
    places = keypoints - keypoints[:, [NAMES.index("nose_tip")]]
    features = places.reshape(len(places), -1)
    model = LogisticRegression(max_iter=2000).fit(features[:700] / 5, emotions[:700])
    accuracy = model.score(features[700:] / 5, emotions[700:])
    assert 0.6 < accuracy < 0.98


def test_every_emotion_comes_once_in_seven(drawn):
    rounds = np.sort(drawn[2].reshape(-1, 7), axis=1)
    assert (rounds == np.arange(7)).all()
    assert len(np.unique(drawn[2].reshape(-1, 7), axis=0)) > 50


def test_halving_rounds_the_mean_of_four():
    image = np.array([[[0, 1, 255, 255], [0, 1, 255, 254]]], dtype=np.uint8)
    np.testing.assert_array_equal(halve(image), [[[1, 255]]])
