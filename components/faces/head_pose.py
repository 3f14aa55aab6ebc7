"""The pose of a head from its fifteen keypoints, by a published geometry of a face.

The geometry is MediaPipe's canonical face model (Apache-2.0, The MediaPipe Authors;
mediapipe/modules/face_geometry/data/canonical_face_model.obj in github.com/google/mediapipe): of
its 468 vertices those that lie where the keypoints do. The picture is taken for a scaled parallel
projection (weak perspective) of the turned model, so a face very near the camera is a little off.
"""

import math
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import NAMES

# Vertices of the canonical face model by number, in its unit (about a centimetre): x to the
# person's left, y up, z to the front. Only one half is listed: the other is its mirror image.
_VERTICES = {
    0: (0.0, -3.406404, 5.979507),
    1: (0.0, -1.126865, 7.475604),
    17: (0.0, -5.365123, 5.535441),
    263: (4.445859, 2.663991, 3.173422),
    276: (5.253307, 3.881582, 3.363159),
    285: (1.220941, 4.142165, 5.106035),
    291: (2.456206, -4.342621, 4.283884),
    300: (5.720968, 4.254584, 2.830852),
    336: (1.395634, 5.011963, 5.316032),
    362: (1.856432, 2.585245, 3.757904),
    374: (3.177186, 2.294265, 3.775704),
    386: (3.177186, 2.964136, 3.876973),
}
# A keypoint is the mean of these: an eye's centre of its corners and lids, a brow's end of its
# upper and its lower edge. The right side is the mirror image of the left.
_VERTICES_OF = {
    "left_eye_center": (263, 362, 374, 386),
    "left_eye_inner_corner": (362,),
    "left_eye_outer_corner": (263,),
    "left_eyebrow_inner_end": (285, 336),
    "left_eyebrow_outer_end": (276, 300),
    "nose_tip": (1,),
    "mouth_left_corner": (291,),
    "mouth_center_top_lip": (0,),
    "mouth_center_bottom_lip": (17,),
}
# An open mouth moves it down, which would be read as a head that looks up.
_LEFT_OUT = "mouth_center_bottom_lip"
# The angles are searched in steps that become smaller, in degrees; beyond the limits a face is a
# profile, in which the keypoints of one side are hidden.
_MAX_YAW, _MAX_PITCH = 75, 60
_STEPS = (5.0, 1.0, 0.1)
# The largest distance of the keypoints from those of the turned model that is a face: the root
# mean square, in distances of the eyes. Of 2,111 real faces none has more than 0.13.
_MAX_RESIDUAL = 0.25


class Pose(NamedTuple):
    """How a head is turned, in degrees; all are 0 where it looks straight into the camera.

    The head is first nodded by the pitch, then turned by the yaw, then tilted by the roll. A
    mirrored picture has the yaw and the roll of the other sign.

    Attributes:
        yaw: Positive where the face turns to the picture's right (the person's own left).
        pitch: Positive where it looks up.
        roll: Positive where the head is tilted clockwise in the picture.

    Example:
        with Client("127.0.0.1:8500") as client:
            for face in client.predict("party.jpg"):
                print(face.pose.yaw if face.pose else "no face")
    """

    yaw: float
    pitch: float
    roll: float

    def direction(self) -> tuple[float, float]:
        """Return where a nose of length 1 points in the picture: x to the right, y down."""
        yaw, pitch, roll = map(math.radians, self)
        x, y = math.sin(yaw) * math.cos(pitch), -math.sin(pitch)
        return (
            x * math.cos(roll) - y * math.sin(roll),
            x * math.sin(roll) + y * math.cos(roll),
        )


class HeadFit(NamedTuple):
    """The turned model that is nearest to a face's keypoints.

    Attributes:
        pose: How the head is turned.
        frontal: The keypoints as they would be from the front, float64 [15, 2], x to the picture's
            right and y up, where 1 is the distance between the model's eyes.
        residual: The root mean square distance of the keypoints from the model's in the same unit.
    """

    pose: Pose
    frontal: NDArray[np.float64]
    residual: float


class _Geometry(NamedTuple):
    """The model's keypoints, centred, in distances of its eyes; and which of them are fitted."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def fit_head(keypoints: NDArray[np.float64]) -> HeadFit | None:
    """Fit the canonical face model to a face's keypoints.

    Args:
        keypoints: [15, 2] in pixels, in the order of `keypoints.NAMES`.

    Returns:
        The fit; None where the points are those of no face.

    Example:
        fit = fit_head(face.keypoints)
        print(fit.pose.yaw if fit else "no face")
    """
    points, weights = _geometry()
    # Complex numbers, of which a product turns and scales; y is up.
    seen = keypoints[:, 0] - 1j * keypoints[:, 1]
    seen = seen - (weights * seen).sum()
    yaw, pitch = _search(weights * seen)
    model = _project(points, np.array([yaw]), np.array([pitch]))[0]
    factor = (weights * model.conj() * seen).sum() / (weights * np.abs(model) ** 2).sum()
    residual = math.sqrt((weights * np.abs(seen - factor * model) ** 2).sum())
    # Nor is it one where all are in one place.
    if not residual < _MAX_RESIDUAL * abs(factor):
        return None
    pose = Pose(yaw, pitch, -math.degrees(np.angle(factor)))
    return HeadFit(pose, _turn_to_front(seen / factor, pose), residual / abs(factor))


@cache
def _geometry() -> _Geometry:
    left = {
        name: np.mean([_VERTICES[number] for number in numbers], 0)
        for name, numbers in _VERTICES_OF.items()
    }
    mirror = np.array([-1.0, 1.0, 1.0])
    points = np.array(
        [left[name] if name in left else mirror * left[_left_name(name)] for name in NAMES]
    )
    weights = np.array([float(name != _LEFT_OUT) for name in NAMES])
    weights /= weights.sum()
    eyes = points[NAMES.index("left_eye_center")] - points[NAMES.index("right_eye_center")]
    return _Geometry((points - np.average(points, 0, weights)) / np.linalg.norm(eyes), weights)


def _left_name(name: str) -> str:
    return name.replace("right", "left")


def _project(
    points: NDArray[np.float64], yaw: NDArray[np.float64], pitch: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Turn the points by each pair of angles; return their places in the picture, [n, 15]."""
    x, y, z = points.T
    yaw, pitch = np.radians(yaw)[:, None], np.radians(pitch)[:, None]
    depth = np.cos(pitch) * z - np.sin(pitch) * y
    across = np.cos(yaw) * x + np.sin(yaw) * depth
    return across + 1j * (np.cos(pitch) * y + np.sin(pitch) * z)


def _search(weighted: NDArray[np.complex128]) -> tuple[float, float]:
    """Find the yaw and the pitch whose projection, turned and scaled at best, is nearest."""
    grid, projections = _coarse_search()
    best = grid[:, _nearest(projections, weighted)]
    for before, step in pairwise(_STEPS):
        grid = _grid_around(best, before, step)
        best = grid[:, _nearest(_projections(grid), weighted)]
    yaw, pitch = best
    return round(float(yaw), 1), round(float(pitch), 1)


def _nearest(projections: NDArray[np.complex128], weighted: NDArray[np.complex128]) -> int:
    # As small as they are, a matrix product would wait for the threads of BLAS.
    return int(np.argmax(np.abs(np.einsum("ij,j->i", projections, weighted.conj()))))


@cache
def _coarse_search() -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    yaw = np.arange(-_MAX_YAW, _MAX_YAW + 1, _STEPS[0])
    pitch = np.arange(-_MAX_PITCH, _MAX_PITCH + 1, _STEPS[0])
    grid = _grid(yaw, pitch)
    return grid, _projections(grid)


def _projections(grid: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Project the model at each pair of angles, with a weighted mean square of one."""
    points, weights = _geometry()
    projected = _project(points, *grid)
    squares = projected.real**2 + projected.imag**2
    return projected / np.sqrt(np.einsum("ij,j->i", squares, weights))[:, None]


def _grid_around(best: NDArray[np.float64], before: float, step: float) -> NDArray[np.float64]:
    count = math.ceil(before / step / 2)
    offsets = step * np.arange(-count, count + 1)
    yaw, pitch = best[:, None] + offsets
    return _grid(yaw.clip(-_MAX_YAW, _MAX_YAW), pitch.clip(-_MAX_PITCH, _MAX_PITCH))


def _grid(yaw: NDArray[np.float64], pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pair each yaw with each pitch, [2, n]."""
    return np.stack([np.repeat(yaw, len(pitch)), np.tile(pitch, len(yaw))])


def _turn_to_front(seen: NDArray[np.complex128], pose: Pose) -> NDArray[np.float64]:
    """Undo yaw and pitch, for points that are as far to the front as the model's are."""
    yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
    z = _geometry().points[:, 2]
    y = (seen.imag - math.sin(pitch) * z) / math.cos(pitch)
    depth = math.cos(pitch) * z - math.sin(pitch) * y
    x = (seen.real - math.sin(yaw) * depth) / math.cos(yaw)
    return np.stack([x, y], 1)
