"""The anatomy of a drawn face, as numbers: keypoints, lids, lips, hair, light, pose.

Face units: the origin is midway between the eyes of a face looking straight ahead, u points right
and v down as seen by the viewer, and half the distance between the eyes is 1. Only sums, products,
quotients and square roots are used, which IEEE 754 rounds the same everywhere, so a seed gives the
same face on every machine.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.sample.emotions import draw_movements

Array = NDArray[np.float64]

# Half the distance between the eyes, and the point between them, in pixels of the 96x96 frame:
# close to the mean of a few thousand faces cropped as Kaggle's are.
UNIT = 17.4
ORIGIN = (47.6, 37.2)

# Minimum distance of every keypoint from the frame's edge, in pixels.
MARGIN = 2.0

# Signs of u: the person's left is on the viewer's right.
SIDES = {"left": 1.0, "right": -1.0}


class Anatomy(NamedTuple):
    """Faces as arrays whose first dimension is the face; lengths in face units, tones 0..255."""

    points: Array  # [n, 15, 2] the keypoints, in Kaggle's order
    movement: dict[str, Array]  # see emotion_ai.sample.emotions
    pose: dict[str, Array]  # unit, x, y, cosine, sine: from face units to pixels
    head: dict[str, Array]  # u, v, width, height, taper, ears
    hair: dict[str, Array]  # tone, line, part, sides, volume, wave
    skin: dict[str, Array]  # tone, beard, age, lips
    light: dict[str, Array]  # u, v, ambient, background, slope, noise, blur
    extras: dict[str, Array]  # glasses, gaze, brow_width, nose_width

    def take(self, index: slice) -> "Anatomy":
        """Return some of the faces."""
        groups = ({name: values[index] for name, values in group.items()} for group in self[1:])
        return Anatomy(self.points[index], *groups)


def uniform(rng: np.random.Generator, low: float, high: float, *shape: int) -> Array:
    """Draw from a uniform distribution.

    Unlike `rng.uniform`, whose last bit may differ between machines, this is reproducible.
    """
    return low + (high - low) * rng.random(shape)


def draw_anatomy(rng: np.random.Generator, emotion: NDArray[np.uint8]) -> Anatomy:
    """Draw faces that show emotions.

    Args:
        rng: The source of the differences between faces.
        emotion: uint8 [n], codes of the label set fer7.
    """
    count = len(emotion)
    movement = draw_movements(rng, emotion)
    rotation = {
        "yaw": uniform(rng, -0.3, 0.3, count) * uniform(rng, 0, 1, count),
        "pitch": uniform(rng, -0.12, 0.12, count),
    }
    anatomy = Anatomy(
        points=_draw_points(rng, movement, rotation),
        movement=movement,
        pose=_draw_pose(rng, count),
        head=_draw_head(rng, rotation, movement),
        hair=_draw_hair(rng, count),
        skin={
            "tone": uniform(rng, 85, 210, count),
            "beard": np.maximum(0, uniform(rng, -0.9, 0.45, count)),
            "age": uniform(rng, 0.15, 1, count),
            "lips": uniform(rng, 0.62, 0.82, count),
        },
        light={
            "u": uniform(rng, -0.45, 0.45, count),
            "v": uniform(rng, -0.4, 0.12, count),
            "ambient": uniform(rng, 0.3, 0.7, count),
            "background": uniform(rng, 15, 235, count),
            "slope": uniform(rng, -0.45, 0.45, count, 2),
            "noise": uniform(rng, 0.5, 6, count),
            "blur": uniform(rng, 0, 0.9, count),
        },
        extras={
            "glasses": (rng.random(count) < 0.14) * uniform(rng, 0.4, 0.9, count),
            "gaze": uniform(rng, -0.09, 0.09, count),
            "brow_width": uniform(rng, 0.09, 0.17, count),
            "nose_width": uniform(rng, 0.36, 0.5, count),
        },
    )
    return _keep_in_frame(anatomy)


def keypoints_in_pixels(anatomy: Anatomy) -> Array:
    """Return the keypoints [n, 15, 2] in pixels of the 96x96 frame."""
    pose = {name: values[:, None] for name, values in anatomy.pose.items()}
    u, v = anatomy.points[:, :, 0], anatomy.points[:, :, 1]
    x = pose["x"] + pose["unit"] * (pose["cosine"] * u - pose["sine"] * v)
    y = pose["y"] + pose["unit"] * (pose["sine"] * u + pose["cosine"] * v)
    return np.stack([x, y], axis=-1)


def _keep_in_frame(anatomy: Anatomy) -> Anatomy:
    """Move faces of which a keypoint is within `MARGIN` of the frame's edge."""
    points = keypoints_in_pixels(anatomy)
    over = np.maximum(0, points.max(axis=1) - (FRAME - 1 - MARGIN))
    under = np.maximum(0, MARGIN - points.min(axis=1))
    pose = anatomy.pose
    moved = {"x": pose["x"] - over[:, 0] + under[:, 0], "y": pose["y"] - over[:, 1] + under[:, 1]}
    return anatomy._replace(pose=pose | moved)


def _draw_points(
    rng: np.random.Generator, movement: dict[str, Array], rotation: dict[str, Array]
) -> Array:
    landmarks = _rotate_head(_draw_landmarks(rng, movement), rotation)
    lids = (movement["lower_lid"] - movement["upper_lid"]) / 2
    for side in SIDES:
        corners = [landmarks[f"{side}_eye_{end}_corner"] for end in ("inner", "outer")]
        landmarks[f"{side}_eye_center"] = _midpoint(*corners) + np.stack([0 * lids, lids], axis=-1)
    middle = _midpoint(landmarks["mouth_left_corner"], landmarks["mouth_right_corner"])
    edges = lip_offsets(movement)
    for lip, edge in (("top", edges[0]), ("bottom", edges[-1])):
        landmarks[f"mouth_center_{lip}_lip"] = middle + np.stack([0 * edge, edge], axis=-1)
    return np.stack([landmarks[name] for name in NAMES], axis=1)


def _draw_landmarks(rng: np.random.Generator, movement: dict[str, Array]) -> dict[str, Array]:
    """Draw the independent keypoints [n, 2] of a face looking straight ahead."""
    count = len(movement["open"])
    eye_width = uniform(rng, 0.36, 0.46, count)
    slant = uniform(rng, -0.05, 0.06, count)
    brow_height = uniform(rng, 0.5, 0.68, count)
    mouth_v = uniform(rng, 2.02, 2.28, count) + 0.35 * movement["jaw"]
    mouth_width = uniform(rng, 0.72, 0.9, count) + movement["corner_out"]
    nose_v = uniform(rng, 1.08, 1.3, count) - 0.08 * movement["wrinkle"]
    landmarks = {"nose_tip": np.stack([np.zeros(count), nose_v], axis=-1)}
    for side, sign in SIDES.items():
        uneven = uniform(rng, -0.05, 0.05, count)
        inner = uniform(rng, 0.5, 0.62, count) - movement["brow_together"]
        outer = uniform(rng, 1.62, 1.84, count)
        coordinates = {
            "{}_eye_inner_corner": (1 - eye_width, 0.04 + slant),
            "{}_eye_outer_corner": (1 + eye_width, -slant),
            "{}_eyebrow_inner_end": (inner, 0.02 - brow_height - movement["brow_inner"] + uneven),
            "{}_eyebrow_outer_end": (outer, 0.08 - brow_height - movement["brow_outer"] + uneven),
            "mouth_{}_corner": (mouth_width, mouth_v - movement["corner_up"] + uneven),
        }
        for name, (u, v) in coordinates.items():
            landmarks[name.format(side)] = np.stack([sign * u, v], axis=-1)
    return landmarks


def _midpoint(first: Array, second: Array) -> Array:
    return (first + second) / 2


def lip_offsets(movement: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return how far below the line between its corners the mouth's four edges are, at its middle.

    In order: top and bottom of the upper lip, top and bottom of the lower lip.
    """
    sag = movement["corner_up"] * 0.95
    upper_edge = sag - 0.4 * movement["open"] - 0.6 * movement["lip_up"]
    lower_edge = sag + 0.6 * movement["open"] + 0.02
    thickness = movement["lip"]
    return upper_edge - 0.8 * thickness, upper_edge, lower_edge, lower_edge + thickness


def _rotate_head(landmarks: dict[str, Array], rotation: dict[str, Array]) -> dict[str, Array]:
    """Rotate the head slightly: points that protrude further from the face move further."""
    yaw, pitch = rotation["yaw"], rotation["pitch"]
    rotated = {}
    for name, point in landmarks.items():
        u, v = point[:, 0], point[:, 1]
        depth = _DEPTH.get(name, 0.1) - 0.1 * u * u
        rotated[name] = np.stack(
            [u * (1 - yaw * yaw / 2) + yaw * depth, v * (1 - pitch * pitch / 2) + pitch * depth],
            axis=-1,
        )
    return rotated


# How far a keypoint protrudes from the plane of the eyes, in face units; 0.1 for the others.
_DEPTH = {"nose_tip": 1.1, "mouth_left_corner": 0.35, "mouth_right_corner": 0.35}


def _draw_pose(rng: np.random.Generator, count: int) -> dict[str, Array]:
    # cos and sin of an angle of up to 17 degrees from the tangent of its half, because the
    # trigonometric functions differ between machines.
    tangent = uniform(rng, -0.15, 0.15, count) * uniform(rng, 0.1, 1, count)
    return {
        "unit": UNIT * uniform(rng, 0.84, 1.08, count),
        "x": ORIGIN[0] + uniform(rng, -4.5, 4.5, count),
        "y": ORIGIN[1] + uniform(rng, -4, 4, count),
        "cosine": (1 - tangent * tangent) / (1 + tangent * tangent),
        "sine": 2 * tangent / (1 + tangent * tangent),
    }


def _draw_head(
    rng: np.random.Generator, rotation: dict[str, Array], movement: dict[str, Array]
) -> dict[str, Array]:
    count = len(movement["open"])
    return {
        "u": -0.35 * rotation["yaw"],
        "v": uniform(rng, 0.55, 0.75, count) + 0.2 * movement["jaw"],
        "width": uniform(rng, 1.95, 2.3, count),
        "height": uniform(rng, 2.65, 2.95, count) + 0.25 * movement["jaw"],
        "taper": uniform(rng, 0.08, 0.3, count),
        "ears": uniform(rng, 0.16, 0.3, count),
    }


def _draw_hair(rng: np.random.Generator, count: int) -> dict[str, Array]:
    bald = rng.random(count) < 0.08
    long = rng.random(count) < 0.4
    return {
        "tone": uniform(rng, 12, 190, count) * uniform(rng, 0.3, 1, count),
        "line": np.where(bald, -9.0, uniform(rng, -1.75, -1.15, count)),
        "part": uniform(rng, -0.9, 0.9, count),
        "sides": np.where(long, uniform(rng, 1.6, 4.5, count), uniform(rng, -0.4, 0.5, count)),
        "volume": np.where(bald, -0.2, uniform(rng, 0.1, 0.5, count)),
        "wave": uniform(rng, 0.08, 0.45, count),
    }
