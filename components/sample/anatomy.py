"""What a drawn face looks like, as numbers: keypoints, lids, lips, hair, light, pose.

Face units: the origin lies midway between the eyes of a face looking straight ahead, u to the
right and v down as one looks at it, and half the distance between the eyes is 1. Only sums,
products, quotients and square roots are taken, which IEEE 754 rounds alike everywhere, so a seed
gives the same face on every machine.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.sample.emotions import movements

Array = NDArray[np.float64]

# Half the distance between the eyes, and the point between them, in pixels of the 96x96 frame:
# about the mean of a few thousand faces cropped as Kaggle's are.
UNIT = 17.4
ORIGIN = (47.6, 37.2)

# Pixels that every keypoint keeps from the frame's edge.
MARGIN = 2.0

# The person's left is to the right as one looks at it.
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

    def part(self, index: slice) -> "Anatomy":
        """Some of the faces."""
        groups = ({name: one[index] for name, one in group.items()} for group in self[1:])
        return Anatomy(self.points[index], *groups)


def between(rng: np.random.Generator, low: float, high: float, *shape: int) -> Array:
    """Evenly drawn numbers; not `rng.uniform`, whose last bit may differ between machines."""
    return low + (high - low) * rng.random(shape)


def draw_anatomy(rng: np.random.Generator, emotion: NDArray[np.uint8]) -> Anatomy:
    """Faces that show the emotions given as codes [n] of the label set fer7."""
    count = len(emotion)
    movement = movements(rng, emotion)
    turn = {
        "yaw": between(rng, -0.3, 0.3, count) * between(rng, 0, 1, count),
        "pitch": between(rng, -0.12, 0.12, count),
    }
    anatomy = Anatomy(
        points=_points(rng, movement, turn),
        movement=movement,
        pose=_pose(rng, count),
        head=_head(rng, turn, movement),
        hair=_hair(rng, count),
        skin={
            "tone": between(rng, 85, 210, count),
            "beard": np.maximum(0, between(rng, -0.9, 0.45, count)),
            "age": between(rng, 0.15, 1, count),
            "lips": between(rng, 0.62, 0.82, count),
        },
        light={
            "u": between(rng, -0.45, 0.45, count),
            "v": between(rng, -0.4, 0.12, count),
            "ambient": between(rng, 0.3, 0.7, count),
            "background": between(rng, 15, 235, count),
            "slope": between(rng, -0.45, 0.45, count, 2),
            "noise": between(rng, 0.5, 6, count),
            "blur": between(rng, 0, 0.9, count),
        },
        extras={
            "glasses": (rng.random(count) < 0.14) * between(rng, 0.4, 0.9, count),
            "gaze": between(rng, -0.09, 0.09, count),
            "brow_width": between(rng, 0.09, 0.17, count),
            "nose_width": between(rng, 0.36, 0.5, count),
        },
    )
    return _held_in_frame(anatomy)


def keypoints_in_pixels(anatomy: Anatomy) -> Array:
    """The keypoints [n, 15, 2] in pixels of the 96x96 frame."""
    pose = {name: values[:, None] for name, values in anatomy.pose.items()}
    u, v = anatomy.points[:, :, 0], anatomy.points[:, :, 1]
    x = pose["x"] + pose["unit"] * (pose["cosine"] * u - pose["sine"] * v)
    y = pose["y"] + pose["unit"] * (pose["sine"] * u + pose["cosine"] * v)
    return np.stack([x, y], axis=-1)


def _held_in_frame(anatomy: Anatomy) -> Anatomy:
    """The same faces, moved where a keypoint would come within `MARGIN` of the frame's edge."""
    points = keypoints_in_pixels(anatomy)
    over = np.maximum(0, points.max(axis=1) - (FRAME - 1 - MARGIN))
    under = np.maximum(0, MARGIN - points.min(axis=1))
    pose = anatomy.pose
    moved = {"x": pose["x"] - over[:, 0] + under[:, 0], "y": pose["y"] - over[:, 1] + under[:, 1]}
    return anatomy._replace(pose=pose | moved)


def _points(rng: np.random.Generator, move: dict[str, Array], turn: dict[str, Array]) -> Array:
    place = _turned(_landmarks(rng, move), turn)
    lids = (move["lower_lid"] - move["upper_lid"]) / 2
    for side in SIDES:
        corners = [place[f"{side}_eye_{end}_corner"] for end in ("inner", "outer")]
        place[f"{side}_eye_center"] = _midway(*corners) + np.stack([0 * lids, lids], axis=-1)
    middle = _midway(place["mouth_left_corner"], place["mouth_right_corner"])
    edges = lip_offsets(move)
    for lip, edge in (("top", edges[0]), ("bottom", edges[-1])):
        place[f"mouth_center_{lip}_lip"] = middle + np.stack([0 * edge, edge], axis=-1)
    return np.stack([place[name] for name in NAMES], axis=1)


def _landmarks(rng: np.random.Generator, move: dict[str, Array]) -> dict[str, Array]:
    """The keypoints [n, 2] that a face looking straight ahead does not derive from others."""
    count = len(move["open"])
    eye_width = between(rng, 0.36, 0.46, count)
    slant = between(rng, -0.05, 0.06, count)
    brow_height = between(rng, 0.5, 0.68, count)
    mouth_v = between(rng, 2.02, 2.28, count) + 0.35 * move["jaw"]
    mouth_width = between(rng, 0.72, 0.9, count) + move["corner_out"]
    nose_v = between(rng, 1.08, 1.3, count) - 0.08 * move["wrinkle"]
    place = {"nose_tip": np.stack([np.zeros(count), nose_v], axis=-1)}
    for side, sign in SIDES.items():
        uneven = between(rng, -0.05, 0.05, count)
        inner = between(rng, 0.5, 0.62, count) - move["brow_together"]
        outer = between(rng, 1.62, 1.84, count)
        half = {
            "{}_eye_inner_corner": (1 - eye_width, 0.04 + slant),
            "{}_eye_outer_corner": (1 + eye_width, -slant),
            "{}_eyebrow_inner_end": (inner, 0.02 - brow_height - move["brow_inner"] + uneven),
            "{}_eyebrow_outer_end": (outer, 0.08 - brow_height - move["brow_outer"] + uneven),
            "mouth_{}_corner": (mouth_width, mouth_v - move["corner_up"] + uneven),
        }
        for name, (u, v) in half.items():
            place[name.format(side)] = np.stack([sign * u, v], axis=-1)
    return place


def _midway(one: Array, other: Array) -> Array:
    return (one + other) / 2


def lip_offsets(move: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """How far below the line of the mouth's corners its four edges run, halfway across.

    In order: top of the upper lip, its lower edge, top of the lower lip, its lower edge.
    """
    sag = move["corner_up"] * 0.95
    upper_edge = sag - 0.4 * move["open"] - 0.6 * move["lip_up"]
    lower_edge = sag + 0.6 * move["open"] + 0.02
    thickness = move["lip"]
    return upper_edge - 0.8 * thickness, upper_edge, lower_edge, lower_edge + thickness


def _turned(place: dict[str, Array], turn: dict[str, Array]) -> dict[str, Array]:
    """Turn the head a little: what stands out further from the face moves further."""
    yaw, pitch = turn["yaw"], turn["pitch"]
    turned = {}
    for name, point in place.items():
        u, v = point[:, 0], point[:, 1]
        depth = _DEPTH.get(name, 0.1) - 0.1 * u * u
        turned[name] = np.stack(
            [u * (1 - yaw * yaw / 2) + yaw * depth, v * (1 - pitch * pitch / 2) + pitch * depth],
            axis=-1,
        )
    return turned


# How far a keypoint stands out of the plane of the eyes, in face units; 0.1 where not named.
_DEPTH = {"nose_tip": 1.1, "mouth_left_corner": 0.35, "mouth_right_corner": 0.35}


def _pose(rng: np.random.Generator, count: int) -> dict[str, Array]:
    # cos and sin of an angle of up to 17 degrees by its half's tangent, in exact arithmetic.
    tangent = between(rng, -0.15, 0.15, count) * between(rng, 0.1, 1, count)
    return {
        "unit": UNIT * between(rng, 0.84, 1.08, count),
        "x": ORIGIN[0] + between(rng, -4.5, 4.5, count),
        "y": ORIGIN[1] + between(rng, -4, 4, count),
        "cosine": (1 - tangent * tangent) / (1 + tangent * tangent),
        "sine": 2 * tangent / (1 + tangent * tangent),
    }


def _head(
    rng: np.random.Generator, turn: dict[str, Array], move: dict[str, Array]
) -> dict[str, Array]:
    count = len(move["open"])
    return {
        "u": -0.35 * turn["yaw"],
        "v": between(rng, 0.55, 0.75, count) + 0.2 * move["jaw"],
        "width": between(rng, 1.95, 2.3, count),
        "height": between(rng, 2.65, 2.95, count) + 0.25 * move["jaw"],
        "taper": between(rng, 0.08, 0.3, count),
        "ears": between(rng, 0.16, 0.3, count),
    }


def _hair(rng: np.random.Generator, count: int) -> dict[str, Array]:
    bald = rng.random(count) < 0.08
    long = rng.random(count) < 0.4
    return {
        "tone": between(rng, 12, 190, count) * between(rng, 0.3, 1, count),
        "line": np.where(bald, -9.0, between(rng, -1.75, -1.15, count)),
        "part": between(rng, -0.9, 0.9, count),
        "sides": np.where(long, between(rng, 1.6, 4.5, count), between(rng, -0.4, 0.5, count)),
        "volume": np.where(bald, -0.2, between(rng, 0.1, 0.5, count)),
        "wave": between(rng, 0.08, 0.45, count),
    }
