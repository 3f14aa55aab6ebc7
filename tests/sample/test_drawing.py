"""Drawn faces: keypoints match the pixels, and the emotions are separable."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emotion_ai.faces.keypoints import NAMES
from emotion_ai.sample.drawing import draw_faces, halve


@pytest.fixture(scope="module")
def drawn():
    blocks = list(draw_faces(980, seed=2))
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]


def _mean_gray(images, points, radius):
    """Compute the mean gray of a square around each face's point."""
    x, y = np.rint(points).astype(int).T
    means = [
        image[
            max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1
        ].mean()
        for image, column, row in zip(images, x, y, strict=True)
    ]
    return np.array(means)


def test_draw_faces_keypoints_are_in_the_frame_and_left_is_the_persons_own(drawn):
    _, keypoints, _ = drawn
    assert keypoints.min() > 0
    assert keypoints.max() < 95.5
    for name in NAMES:
        if name.startswith("left") or name == "mouth_left_corner":
            left = keypoints[:, NAMES.index(name), 0]
            right = keypoints[:, NAMES.index(name.replace("left", "right")), 0]
            assert (left > right).all(), name


@pytest.mark.parametrize("side", ["left", "right"])
def test_draw_faces_eye_is_dark_at_its_keypoint(drawn, side):
    images, keypoints, _ = drawn
    eye = keypoints[:, NAMES.index(f"{side}_eye_center")]
    cheek = (keypoints[:, NAMES.index(f"mouth_{side}_corner")] + eye) / 2
    darker = _mean_gray(images, eye, 1) < _mean_gray(images, cheek, 1) - 10
    assert darker.mean() > 0.97


def test_draw_faces_lips_are_darker_than_the_skin_beyond_their_keypoints(drawn):
    images, keypoints, _ = drawn
    top, bottom = (
        keypoints[:, NAMES.index(f"mouth_center_{lip}_lip")] for lip in ("top", "bottom")
    )
    down = (bottom - top) / np.linalg.norm(bottom - top, axis=1, keepdims=True)
    inside, outside = (
        _mean_gray(images, top + 1.5 * down, 0),
        _mean_gray(images, top - 2.5 * down, 0),
    )
    assert (inside < outside).mean() > 0.9


def test_draw_faces_brow_ends_are_darker_than_the_forehead_between(drawn):
    images, keypoints, _ = drawn
    left, right = (
        keypoints[:, NAMES.index(f"{side}_eyebrow_inner_end")] for side in ("left", "right")
    )
    direction = (left - right) / np.linalg.norm(left - right, axis=1, keepdims=True)
    between = _mean_gray(images, (left + right) / 2, 0)
    assert (_mean_gray(images, left + direction * 1.5, 0) < between).mean() > 0.93
    assert (_mean_gray(images, right - direction * 1.5, 0) < between).mean() > 0.93


def test_draw_faces_vary_in_light_and_position(drawn):
    images, keypoints, _ = drawn
    assert images.mean(axis=(1, 2)).std() > 20
    assert (keypoints.std(axis=0) > 2).all()


def test_draw_faces_emotions_are_separable_but_not_perfectly(drawn):
    _, keypoints, emotions = drawn
    positions = keypoints - keypoints[:, [NAMES.index("nose_tip")]]
    features = positions.reshape(len(positions), -1)
    model = LogisticRegression(max_iter=2000).fit(features[:700] / 5, emotions[:700])
    accuracy = model.score(features[700:] / 5, emotions[700:])
    assert 0.6 < accuracy < 0.98


def test_draw_faces_shows_every_emotion_once_in_seven(drawn):
    rounds = np.sort(drawn[2].reshape(-1, 7), axis=1)
    assert (rounds == np.arange(7)).all()
    assert len(np.unique(drawn[2].reshape(-1, 7), axis=0)) > 50


def test_halve_rounds_the_mean_of_four():
    image = np.array([[[0, 1, 255, 255], [0, 1, 255, 254]]], dtype=np.uint8)
    np.testing.assert_array_equal(halve(image), [[[1, 255]]])
