"""Head poses and measures: of the model turned by known angles, and of drawn and mirrored faces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_ai.client.results import Box, Face
from emotion_ai.faces import head_pose
from emotion_ai.faces.head_pose import HeadFit, fit_head
from emotion_ai.faces.keypoints import MIRROR, NAMES
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.faces.measures import MEASURES, measure, valence
from emotion_ai.sample.drawing import draw_faces

# The number of pixels between the eyes in the 96x96 frame.
EYES = 36.0


def turned(
    yaw: float, pitch: float, roll: float, points: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Turn the model by matrices, and project it into a frame."""
    points = head_pose._geometry().points if points is None else points
    a, b, c = np.radians([yaw, pitch, -roll])
    nod = [[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]]
    turn = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    tilt = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    placed = points @ (np.array(tilt) @ turn @ nod).T
    return EYES * placed[:, :2] * [1, -1] + 48


def fit(keypoints: NDArray[np.float64]) -> HeadFit:
    found = fit_head(keypoints)
    assert found is not None
    return found


@given(st.floats(-70, 70), st.floats(-55, 55), st.floats(-170, 170))
def test_fit_finds_the_angles_by_which_the_model_is_turned(
    yaw: float, pitch: float, roll: float
) -> None:
    found = fit(turned(yaw, pitch, roll))
    assert found.pose == pytest.approx((yaw, pitch, roll), abs=0.2)
    assert found.residual < 0.003
    assert np.abs(found.frontal - head_pose._geometry().points[:, :2]).max() < 0.02


def test_angles_have_the_signs_that_they_are_documented_with() -> None:
    front = dict(zip(NAMES, turned(0, 0, 0), strict=True))
    right = dict(zip(NAMES, turned(20, 0, 0), strict=True))
    up = dict(zip(NAMES, turned(0, 20, 0), strict=True))
    clockwise = dict(zip(NAMES, turned(0, 0, 20), strict=True))
    assert right["nose_tip"][0] > front["nose_tip"][0] + 5
    assert up["nose_tip"][1] < front["nose_tip"][1] - 5
    # The person's left eye is to the right, and goes down.
    assert clockwise["left_eye_center"][1] > clockwise["right_eye_center"][1] + 5


@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_face_is_turned_and_tilted_to_the_other_side(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = turned(*rng.uniform(-30, 30, 3)) + rng.normal(0, 1.4, (15, 2))
    pose = fit(points).pose
    mirrored = fit((points * [-1, 1] + [95, 0])[MIRROR]).pose
    assert mirrored == pytest.approx((-pose.yaw, pose.pitch, -pose.roll), abs=0.11)


def test_measures_are_the_same_of_a_face_turned_away() -> None:
    points = head_pose._geometry().points.copy()
    # An open mouth with its corners raised, and raised brows.
    points[NAMES.index("mouth_center_bottom_lip"), 1] -= 0.3
    for name in NAMES:
        points[NAMES.index(name), 1] += 0.05 * ("corner" in name and "mouth" in name)
        points[NAMES.index(name), 1] += 0.05 * ("eyebrow" in name)
    neutral = measure(fit(turned(0, 0, 0)).frontal)
    front = measure(fit(turned(0, 0, 0, points)).frontal)
    away = measure(fit(turned(30, 10, 15, points)).frontal)
    assert neutral is not None
    assert front is not None
    assert away is not None
    assert tuple(front) == MEASURES
    assert away == pytest.approx(front, abs=0.02)
    assert front["mouth_opening"] == pytest.approx(neutral["mouth_opening"] + 0.3, abs=0.03)
    assert front["smile"] == pytest.approx(neutral["smile"] + 0.05 + 0.3 / 2, abs=0.03)
    assert front["left_brow_raise"] == pytest.approx(front["right_brow_raise"])
    assert front["left_brow_raise"] == pytest.approx(neutral["left_brow_raise"] + 0.05, abs=0.03)


def test_drawn_faces_have_poses_and_smile_where_they_are_happy() -> None:
    drawn = next(draw_faces(210, 3))
    smiles: dict[str, list[float]] = {name: [] for name in LABEL_SETS["fer7"]}
    for points, code in zip(drawn.keypoints, drawn.emotions, strict=True):
        measures = measure(fit(points.astype(float)).frontal)
        assert measures is not None
        smiles[LABEL_SETS["fer7"][code]].append(measures["smile"])
    assert np.mean(smiles["happy"]) > np.mean(smiles["neutral"]) + 0.03
    assert np.mean(smiles["sad"]) < np.mean(smiles["neutral"])


@pytest.mark.parametrize("shape", ["one place", "one but the lip", "a line", "anywhere", "far"])
def test_points_that_are_no_face_have_no_pose(shape: str) -> None:
    points = {
        "one place": np.full((15, 2), 48.0),
        "one but the lip": np.where(np.arange(15)[:, None] == 14, 60.0, 48.0) * [1, 1],
        "far": np.random.default_rng(0).uniform(-1e42, 1e42, (15, 2)),
        "a line": np.arange(15.0)[:, None] * [1, 2.5],
        "anywhere": np.random.default_rng(0).uniform(0, 96, (15, 2)),
    }[shape]
    assert fit_head(points) is None


def test_eyes_in_one_place_are_not_measured() -> None:
    frontal = head_pose._geometry().points[:, :2].copy()
    frontal[NAMES.index("left_eye_center")] = frontal[NAMES.index("right_eye_center")]
    assert measure(frontal) is None


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ({"happy": 0.5, "sad": 0.25, "angry": 0.125, "neutral": 0.125}, 0.25),
        ({"anger": 0.75, "disgust": 0.25, "happy": 0.0}, -0.75),
        ({"happiness": 1.0, "sadness": 0.0}, 1.0),
        ({"happy": 0.5, "neutral": 0.5}, None),
        ({"sad": 0.5, "neutral": 0.5}, None),
        ({"mood": 1.0}, None),
    ],
)
def test_valence_is_happiness_minus_the_strongest_negative_emotion(
    probabilities: dict[str, float], expected: float | None
) -> None:
    assert valence(probabilities) == expected


def test_a_pose_is_written_without_the_sign_of_a_zero() -> None:
    probabilities = {"happy": 0.75, "sad": 0.25}
    points = turned(0, 0, -0.01)
    written = Face(Box(0, 0, 96, 96), "happy", probabilities, points, 1, 0.0).as_dict()
    assert str(written["pose"]) == "{'yaw': 0.0, 'pitch': 0.0, 'roll': 0.0}"
    assert written["valence"] == 0.5
    assert set(written["measures"]) == set(MEASURES)
