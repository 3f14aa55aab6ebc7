"""Paint faces: from their anatomy to gray pixels.

Every pixel is taken to face units, where each part is a shape with a signed distance to its edge;
the distance in pixels, cut to 0..1, is how much of the pixel the part covers.
"""

import copy

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.sample.anatomy import SIDES, Anatomy, keypoints_in_pixels, lip_offsets

Field = NDArray[np.floating]  # float32 [n, 96, 96], or broadcastable to it


class Canvas:
    """The pixels [n, 96, 96] of some faces being painted, with their places in face units."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        pose = {name: spread(values) for name, values in anatomy.pose.items()}
        x = np.arange(FRAME, dtype=np.float32)[None, None, :] - pose["x"]
        y = np.arange(FRAME, dtype=np.float32)[None, :, None] - pose["y"]
        x, y = x / pose["unit"], y / pose["unit"]
        self.u = pose["cosine"] * x + pose["sine"] * y
        self.v = pose["cosine"] * y - pose["sine"] * x
        self.sharpness = pose["unit"]
        self.pixels = np.zeros_like(self.u)

    def near(self, part: str, margin: float) -> "Canvas":
        """The part of the canvas around the keypoints whose names hold `part`; painted in place.

        The margin is in face units and has to hold all that is painted there.
        """
        index = [k for k, name in enumerate(NAMES) if part in name]
        places = keypoints_in_pixels(self.anatomy)[:, index]
        width = margin * self.anatomy.pose["unit"].max()
        low = np.clip(np.floor(places.min(axis=(0, 1)) - width), 0, FRAME - 1).astype(int)
        high = np.clip(np.ceil(places.max(axis=(0, 1)) + width), 1, FRAME).astype(int)
        window = (slice(None), slice(low[1], high[1]), slice(low[0], high[0]))
        view = copy.copy(self)
        view.u, view.v, view.pixels = self.u[window], self.v[window], self.pixels[window]
        return view

    def cover(self, distance: Field) -> Field:
        """Share of each pixel that lies inside, from the signed distance in face units."""
        return np.clip(distance * self.sharpness + np.float32(0.5), 0, 1)

    def blob(
        self, u: Field | float, v: Field | float, width: Field | float, height: Field | float
    ) -> Field:
        """A soft spot: 1 in its middle, 0 outside the ellipse."""
        across, down = (self.u - u) / width, (self.v - v) / height
        inside = np.maximum(1 - (across * across + down * down), 0)
        return inside * inside

    def paint(self, mask: Field, tone: Field | float) -> None:
        """Lay a tone over what is there, as opaque as the mask."""
        self.pixels += mask * (tone - self.pixels)

    def shade(self, mask: Field) -> None:
        """Darken by the share that the mask says (a negative one lightens)."""
        self.pixels *= 1 - mask

    def point(self, name: str) -> tuple[Field, Field]:
        """A keypoint's u and v."""
        place = self.anatomy.points[:, NAMES.index(name)]
        return spread(place[:, 0]), spread(place[:, 1])


def spread(values: NDArray) -> Field:
    """Values [n] as float32 [n, 1, 1]."""
    return np.asarray(values, np.float32)[:, None, None]


def paint_faces(anatomy: Anatomy, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Faces as uint8 [n, 96, 96]; `rng` gives the texture and the noise of the camera."""
    canvas = Canvas(anatomy)
    _background(canvas)
    _head(canvas)
    _nose(canvas)
    _wrinkles(canvas)
    for side in SIDES:
        _eye(canvas.near(f"{side}_eye_", 0.75), side)
        _brow(canvas.near(f"{side}_eyebrow", 0.5), side)
    _mouth(canvas.near("mouth", 0.4))
    _fringe(canvas, rng)
    _glasses(canvas)
    return _photograph(canvas, rng)


def _background(canvas: Canvas) -> None:
    light, hair, head = canvas.anatomy.light, canvas.anatomy.hair, canvas.anatomy.head
    side, down = spread(light["slope"][:, 0]), spread(light["slope"][:, 1])
    canvas.pixels[:] = spread(light["background"]) * (1 + (side * canvas.u + down * canvas.v) / 4)
    skin = spread(canvas.anatomy.skin["tone"])
    neck = canvas.cover(1.25 - np.abs(canvas.u - spread(head["u"])))
    canvas.paint(neck * (canvas.v > 1.5), skin * 0.55)
    canvas.paint(canvas.cover(canvas.v - 3.7 - 0.12 * canvas.u * canvas.u), 60)
    width = spread(head["width"] + hair["volume"])
    height = spread(head["height"] + hair["volume"])
    across = (canvas.u - spread(head["u"])) / width
    down = np.minimum((canvas.v - spread(head["v"]) + 0.25) / height, 0)
    locks = canvas.cover((1 - np.sqrt(across * across + down * down)) * width)
    # Below the eyes hair hangs straight down as far as its length goes.
    locks *= np.clip((spread(hair["sides"]) - canvas.v) * 2 + 0.3 * across, 0, 1)
    canvas.paint(locks, spread(hair["tone"]) * 0.8)


def _head(canvas: Canvas) -> None:
    head, light, skin = canvas.anatomy.head, canvas.anatomy.light, canvas.anatomy.skin
    tone = spread(skin["tone"])
    middle, width = spread(head["u"]), spread(head["width"])
    for sign in SIDES.values():
        ear = canvas.blob(middle + sign * width * 0.97, 0.45, spread(head["ears"]), 0.6)
        short = spread(canvas.anatomy.hair["sides"] < 1)
        canvas.paint(np.minimum(ear * 4, 1) * short, tone * 0.75)
    down = (canvas.v - spread(head["v"])) / spread(head["height"])
    below = np.maximum(down, 0)
    across = (canvas.u - middle) / (width * (1 - spread(head["taper"]) * below * below))
    square = across * across + down * down
    ambient = spread(light["ambient"])
    roundness = np.sqrt(np.maximum(1 - square, 0))
    lit = 0.55 + 0.5 * roundness + spread(light["u"]) * across + spread(light["v"]) * down
    canvas.paint(
        canvas.cover((1 - np.sqrt(square)) * width), tone * (ambient + (1 - ambient) * lit)
    )
    chin_u, chin_v = canvas.point("mouth_center_bottom_lip")
    canvas.shade(0.28 * canvas.blob(chin_u, chin_v + 0.16, 0.55, 0.16))
    canvas.shade(-0.1 * canvas.blob(chin_u, chin_v + 0.5, 0.5, 0.3))
    beard = canvas.blob(chin_u, chin_v - 0.1, 1.9, 1.35) * np.minimum(square + 0.4, 1)
    canvas.shade(np.minimum(beard * 2, 1) * spread(skin["beard"]))


def _nose(canvas: Canvas) -> None:
    light, extras = canvas.anatomy.light, canvas.anatomy.extras
    tip_u, tip_v = canvas.point("nose_tip")
    width = spread(extras["nose_width"])
    along = np.clip(canvas.v / tip_v, 0, 1)
    aside = (canvas.u - tip_u * along) / (0.3 + 0.25 * along)
    ridge = np.maximum(1 - aside * aside, 0) * canvas.cover(canvas.v) * canvas.cover(
        tip_v + 0.2 - canvas.v
    )  # fmt: skip
    canvas.shade(-ridge * (0.05 + 0.9 * spread(light["u"]) * aside * (0.5 + along)))
    canvas.shade(0.25 * canvas.blob(tip_u, tip_v + 0.34, width * 1.1, 0.2))
    for sign in SIDES.values():
        canvas.shade(0.4 * canvas.blob(tip_u + sign * width, tip_v + 0.08, 0.14, 0.26))
        canvas.shade(0.6 * canvas.blob(tip_u + sign * width * 0.5, tip_v + 0.22, 0.17, 0.11))
    canvas.shade(-0.13 * canvas.blob(tip_u, tip_v, 0.3, 0.26))


def _wrinkles(canvas: Canvas) -> None:
    move, age = canvas.anatomy.movement, spread(canvas.anatomy.skin["age"])
    tip_u, tip_v = canvas.point("nose_tip")
    for v in (0.12, 0.34, 0.56):
        line = canvas.blob(tip_u * 0.4, v + 0.25 * np.abs(canvas.u - tip_u * 0.4), 0.42, 0.09)
        canvas.shade(0.55 * spread(move["wrinkle"]) * line)
    for u in (-0.13, 0.13):
        line = canvas.blob(tip_u * 0.1 + u, -0.42, 0.08, 0.4)
        canvas.shade(0.6 * spread(move["frown"]) * line)
    for v in (-1.15, -1.42):
        line = canvas.blob(0, v - 0.05 * canvas.u * canvas.u, 1.25, 0.07)
        canvas.shade(0.4 * age * spread(move["forehead"]) * line)
    fold = spread(move["fold"]) * (0.4 + 0.6 * age)
    for side, sign in SIDES.items():
        corner_u, corner_v = canvas.point(f"mouth_{side}_corner")
        along = np.clip((canvas.v - tip_v) / (corner_v - tip_v), 0, 1)
        start = tip_u + sign * 0.5
        aside = (canvas.u - start - (corner_u + sign * 0.28 - start) * along) / 0.1
        line = np.maximum(1 - aside * aside, 0) * 4 * along * (1 - along)
        canvas.shade(0.34 * fold * line)
        canvas.shade(-0.12 * fold * canvas.blob(corner_u + sign * 0.35, tip_v + 0.1, 0.6, 0.5))


def _eye(canvas: Canvas, side: str) -> None:
    move, skin = canvas.anatomy.movement, spread(canvas.anatomy.skin["tone"])
    inner_u, inner_v = canvas.point(f"{side}_eye_inner_corner")
    outer_u, outer_v = canvas.point(f"{side}_eye_outer_corner")
    middle_u, middle_v = canvas.point(f"{side}_eye_center")
    along = (canvas.u - inner_u) / (outer_u - inner_u)
    line = inner_v + along * (outer_v - inner_v)
    bulge = 4 * along * (1 - along)
    upper = canvas.v - (line - spread(move["upper_lid"]) * bulge)
    lower = line + spread(move["lower_lid"]) * bulge - canvas.v
    canvas.shade(0.2 * canvas.blob(middle_u, middle_v - 0.08, 0.85, 0.6))
    opening = canvas.cover(np.minimum(upper, lower))
    canvas.paint(opening, 70 + 0.6 * skin)
    gaze_u = middle_u + spread(canvas.anatomy.extras["gaze"])
    across, down = canvas.u - gaze_u, canvas.v - middle_v
    radius = np.sqrt(across * across + down * down)
    canvas.paint(opening * canvas.cover(0.21 - radius), 22 + 0.14 * skin)
    canvas.paint(opening * canvas.cover(0.1 - radius), 6)
    canvas.paint(opening * canvas.blob(gaze_u + 0.07, middle_v - 0.07, 0.09, 0.09), 245)
    within = np.clip(bulge * 3, 0, 1)
    canvas.paint(within * canvas.cover(0.045 - np.abs(upper)), skin * 0.18)
    canvas.shade(0.3 * within * canvas.cover(0.03 - np.abs(upper + 0.15)))
    canvas.shade(0.3 * within * canvas.cover(0.025 - np.abs(lower)))


def _brow(canvas: Canvas, side: str) -> None:
    anatomy = canvas.anatomy
    inner_u, inner_v = canvas.point(f"{side}_eyebrow_inner_end")
    outer_u, outer_v = canvas.point(f"{side}_eyebrow_outer_end")
    along = (canvas.u - inner_u) / (outer_u - inner_u)
    arch = spread(anatomy.movement["brow_arch"]) * 4 * along * (1 - along)
    off = np.abs(canvas.v - (inner_v + along * (outer_v - inner_v) - arch))
    width = spread(anatomy.extras["brow_width"]) * (1 - 0.6 * np.clip(along, 0, 1))
    ends = np.clip((0.5 - np.abs(along - 0.5)) * 14 + 0.5, 0, 1)
    tone = np.minimum(spread(anatomy.hair["tone"]) * 0.8, spread(anatomy.skin["tone"]) * 0.55)
    canvas.paint(0.9 * ends * canvas.cover(width - off), tone)


def _mouth(canvas: Canvas) -> None:
    move, tones = canvas.anatomy.movement, canvas.anatomy.skin
    skin = spread(tones["tone"])
    left_u, left_v = canvas.point("mouth_left_corner")
    right_u, right_v = canvas.point("mouth_right_corner")
    along = (canvas.u - right_u) / (left_u - right_u)
    off = 2 * along - 1
    parabola = 1 - off * off
    oval = np.sqrt(np.maximum(parabola, 0))
    roundness = np.clip(spread(move["round"]), 0, 1)
    bow = np.where(parabola > 0, parabola + roundness * (oval - parabola), parabola)
    line = right_v + along * (left_v - right_v)
    top, upper, lower, bottom = (line + spread(edge) * bow for edge in lip_offsets(move))
    lips = canvas.cover(np.minimum(canvas.v - top, bottom - canvas.v))
    upper_lip = np.float32(0.12) * (canvas.v < (upper + lower) / 2)
    canvas.shade(lips * (1 - spread(tones["lips"]) + upper_lip))
    gap = canvas.cover(np.minimum(canvas.v - upper, lower - canvas.v)) * lips
    canvas.paint(gap, skin * 0.12)
    teeth = np.minimum(canvas.v - upper, upper + 0.22 - canvas.v)
    showing = np.clip(spread(move["teeth"]) * 1.6 - 0.3, 0, 1)
    canvas.paint(gap * canvas.cover(teeth) * showing, 80 + 0.62 * skin)
    within = np.clip(parabola * 6, 0, 1)
    canvas.paint(0.7 * within * canvas.cover(0.03 - np.abs(canvas.v - upper)), skin * 0.25)
    for u, v in ((left_u, left_v), (right_u, right_v)):
        canvas.shade(0.35 * canvas.blob(u, v, 0.16, 0.13))


def _fringe(canvas: Canvas, rng: np.random.Generator) -> None:
    hair, head = canvas.anatomy.hair, canvas.anatomy.head
    aside = canvas.u - spread(hair["part"])
    # Hair falls low at the temples only, so that the brows mostly show.
    temples = np.maximum(np.abs(canvas.u) - 1.8, 0) * 2.5 - 0.85
    line = np.minimum(spread(hair["line"]) + spread(hair["wave"]) * aside * aside, temples)
    across = (canvas.u - spread(head["u"])) / spread(head["width"] + 0.05)
    down = np.minimum((canvas.v - spread(head["v"])) / spread(head["height"] + 0.05), 0)
    inside = canvas.cover((1 - np.sqrt(across * across + down * down)) * 2)
    inside *= canvas.cover(line - canvas.v) * canvas.cover(spread(hair["sides"]) - canvas.v)
    strands = rng.random((len(aside), 1, FRAME), dtype=np.float32)
    strands = (strands + np.roll(strands, 1, axis=2)) * 0.25 + 0.6
    shine = 1 + 0.35 * canvas.blob(spread(hair["part"]), spread(hair["line"]) - 0.35, 1.6, 0.5)
    canvas.paint(inside, spread(hair["tone"]) * strands * shine)


def _glasses(canvas: Canvas) -> None:
    strength = spread(canvas.anatomy.extras["glasses"])
    for side in SIDES:
        middle_u, middle_v = canvas.point(f"{side}_eye_center")
        across, down = (canvas.u - middle_u) / 0.68, (canvas.v - middle_v - 0.06) / 0.52
        rim = np.abs(1 - np.sqrt(across * across + down * down)) * 0.6
        canvas.paint(strength * canvas.cover(0.035 - rim), 25)
    inner_u = [canvas.point(f"{side}_eye_center")[0] for side in SIDES]
    middle = (inner_u[0] + inner_u[1]) / 2
    bridge = canvas.cover(0.34 - np.abs(canvas.u - middle)) * canvas.cover(0.04 - np.abs(canvas.v))
    canvas.paint(strength * bridge, 25)


def _photograph(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    light, pixels = canvas.anatomy.light, canvas.pixels
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    across = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    soft = (across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 9
    pixels += spread(light["blur"]) * (soft - pixels)
    # The sum of four even draws is close to normal, with a standard deviation of 1 here.
    bytes_drawn = rng.integers(0, 256, (4, *pixels.shape), dtype=np.uint8)
    noise = bytes_drawn.astype(np.float32)
    noise = noise[0] + noise[1] + noise[2] + noise[3]
    pixels += spread(light["noise"]) * (noise - 510) / 148
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
