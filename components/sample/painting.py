"""Paint faces: from their anatomy to gray pixels, one function a part of the face."""

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME
from emotion_ai.sample.anatomy import SIDES, Anatomy, lip_offsets
from emotion_ai.sample.canvas import Canvas, expand


def paint_faces(anatomy: Anatomy, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Paint faces in gray.

    Args:
        anatomy: The faces.
        rng: Draws the texture of the hair and the noise of the camera.

    Returns:
        uint8 [n, 96, 96].
    """
    canvas = Canvas(anatomy)
    _paint_background(canvas)
    _paint_head(canvas)
    _paint_nose(canvas)
    _paint_wrinkles(canvas)
    for side in SIDES:
        _paint_eye(canvas.around(f"{side}_eye_", 0.75), side)
        _paint_brow(canvas.around(f"{side}_eyebrow", 0.5), side)
    _paint_mouth(canvas.around("mouth", 0.4))
    _paint_fringe(canvas, rng)
    _paint_glasses(canvas)
    return _simulate_camera(canvas, rng)


def _paint_background(canvas: Canvas) -> None:
    light, hair, head = canvas.anatomy.light, canvas.anatomy.hair, canvas.anatomy.head
    side, dv = expand(light["slope"][:, 0]), expand(light["slope"][:, 1])
    canvas.pixels[:] = expand(light["background"]) * (1 + (side * canvas.u + dv * canvas.v) / 4)
    skin = expand(canvas.anatomy.skin["tone"])
    neck = canvas.coverage(1.25 - np.abs(canvas.u - expand(head["u"])))
    canvas.paint(neck * (canvas.v > 1.5), skin * 0.55)
    canvas.paint(canvas.coverage(canvas.v - 3.7 - 0.12 * canvas.u * canvas.u), 60)
    width = expand(head["width"] + hair["volume"])
    height = expand(head["height"] + hair["volume"])
    du = (canvas.u - expand(head["u"])) / width
    dv = np.minimum((canvas.v - expand(head["v"]) + 0.25) / height, 0)
    locks = canvas.coverage((1 - np.sqrt(du * du + dv * dv)) * width)
    # Below the eyes hair hangs straight down as far as its length goes.
    locks *= np.clip((expand(hair["sides"]) - canvas.v) * 2 + 0.3 * du, 0, 1)
    canvas.paint(locks, expand(hair["tone"]) * 0.8)


def _paint_head(canvas: Canvas) -> None:
    head, light, skin = canvas.anatomy.head, canvas.anatomy.light, canvas.anatomy.skin
    tone = expand(skin["tone"])
    middle, width = expand(head["u"]), expand(head["width"])
    for sign in SIDES.values():
        ear = canvas.blob(middle + sign * width * 0.97, 0.45, expand(head["ears"]), 0.6)
        short = expand(canvas.anatomy.hair["sides"] < 1)
        canvas.paint(np.minimum(ear * 4, 1) * short, tone * 0.75)
    dv = (canvas.v - expand(head["v"])) / expand(head["height"])
    below = np.maximum(dv, 0)
    du = (canvas.u - middle) / (width * (1 - expand(head["taper"]) * below * below))
    square = du * du + dv * dv
    ambient = expand(light["ambient"])
    roundness = np.sqrt(np.maximum(1 - square, 0))
    shading = 0.55 + 0.5 * roundness + expand(light["u"]) * du + expand(light["v"]) * dv
    canvas.paint(
        canvas.coverage((1 - np.sqrt(square)) * width), tone * (ambient + (1 - ambient) * shading)
    )
    chin_u, chin_v = canvas.keypoint("mouth_center_bottom_lip")
    canvas.darken(0.28 * canvas.blob(chin_u, chin_v + 0.16, 0.55, 0.16))
    canvas.darken(-0.1 * canvas.blob(chin_u, chin_v + 0.5, 0.5, 0.3))
    beard = canvas.blob(chin_u, chin_v - 0.1, 1.9, 1.35) * np.minimum(square + 0.4, 1)
    canvas.darken(np.minimum(beard * 2, 1) * expand(skin["beard"]))


def _paint_nose(canvas: Canvas) -> None:
    light, extras = canvas.anatomy.light, canvas.anatomy.extras
    tip_u, tip_v = canvas.keypoint("nose_tip")
    width = expand(extras["nose_width"])
    along = np.clip(canvas.v / tip_v, 0, 1)
    offset = (canvas.u - tip_u * along) / (0.3 + 0.25 * along)
    ridge = np.maximum(1 - offset * offset, 0) * canvas.coverage(canvas.v) * canvas.coverage(
        tip_v + 0.2 - canvas.v
    )  # fmt: skip
    canvas.darken(-ridge * (0.05 + 0.9 * expand(light["u"]) * offset * (0.5 + along)))
    canvas.darken(0.25 * canvas.blob(tip_u, tip_v + 0.34, width * 1.1, 0.2))
    for sign in SIDES.values():
        canvas.darken(0.4 * canvas.blob(tip_u + sign * width, tip_v + 0.08, 0.14, 0.26))
        canvas.darken(0.6 * canvas.blob(tip_u + sign * width * 0.5, tip_v + 0.22, 0.17, 0.11))
    canvas.darken(-0.13 * canvas.blob(tip_u, tip_v, 0.3, 0.26))


def _paint_wrinkles(canvas: Canvas) -> None:
    movement, age = canvas.anatomy.movement, expand(canvas.anatomy.skin["age"])
    tip_u, tip_v = canvas.keypoint("nose_tip")
    for v in (0.12, 0.34, 0.56):
        line = canvas.blob(tip_u * 0.4, v + 0.25 * np.abs(canvas.u - tip_u * 0.4), 0.42, 0.09)
        canvas.darken(0.55 * expand(movement["wrinkle"]) * line)
    for u in (-0.13, 0.13):
        line = canvas.blob(tip_u * 0.1 + u, -0.42, 0.08, 0.4)
        canvas.darken(0.6 * expand(movement["frown"]) * line)
    for v in (-1.15, -1.42):
        line = canvas.blob(0, v - 0.05 * canvas.u * canvas.u, 1.25, 0.07)
        canvas.darken(0.4 * age * expand(movement["forehead"]) * line)
    fold = expand(movement["fold"]) * (0.4 + 0.6 * age)
    for side, sign in SIDES.items():
        corner_u, corner_v = canvas.keypoint(f"mouth_{side}_corner")
        along = np.clip((canvas.v - tip_v) / (corner_v - tip_v), 0, 1)
        start = tip_u + sign * 0.5
        offset = (canvas.u - start - (corner_u + sign * 0.28 - start) * along) / 0.1
        line = np.maximum(1 - offset * offset, 0) * 4 * along * (1 - along)
        canvas.darken(0.34 * fold * line)
        canvas.darken(-0.12 * fold * canvas.blob(corner_u + sign * 0.35, tip_v + 0.1, 0.6, 0.5))


def _paint_eye(canvas: Canvas, side: str) -> None:
    movement, skin = canvas.anatomy.movement, expand(canvas.anatomy.skin["tone"])
    inner_u, inner_v = canvas.keypoint(f"{side}_eye_inner_corner")
    outer_u, outer_v = canvas.keypoint(f"{side}_eye_outer_corner")
    middle_u, middle_v = canvas.keypoint(f"{side}_eye_center")
    along = (canvas.u - inner_u) / (outer_u - inner_u)
    line = inner_v + along * (outer_v - inner_v)
    bulge = 4 * along * (1 - along)
    upper = canvas.v - (line - expand(movement["upper_lid"]) * bulge)
    lower = line + expand(movement["lower_lid"]) * bulge - canvas.v
    canvas.darken(0.2 * canvas.blob(middle_u, middle_v - 0.08, 0.85, 0.6))
    opening = canvas.coverage(np.minimum(upper, lower))
    canvas.paint(opening, 70 + 0.6 * skin)
    gaze_u = middle_u + expand(canvas.anatomy.extras["gaze"])
    du, dv = canvas.u - gaze_u, canvas.v - middle_v
    radius = np.sqrt(du * du + dv * dv)
    canvas.paint(opening * canvas.coverage(0.21 - radius), 22 + 0.14 * skin)
    canvas.paint(opening * canvas.coverage(0.1 - radius), 6)
    canvas.paint(opening * canvas.blob(gaze_u + 0.07, middle_v - 0.07, 0.09, 0.09), 245)
    between_corners = np.clip(bulge * 3, 0, 1)
    canvas.paint(between_corners * canvas.coverage(0.045 - np.abs(upper)), skin * 0.18)
    canvas.darken(0.3 * between_corners * canvas.coverage(0.03 - np.abs(upper + 0.15)))
    canvas.darken(0.3 * between_corners * canvas.coverage(0.025 - np.abs(lower)))


def _paint_brow(canvas: Canvas, side: str) -> None:
    anatomy = canvas.anatomy
    inner_u, inner_v = canvas.keypoint(f"{side}_eyebrow_inner_end")
    outer_u, outer_v = canvas.keypoint(f"{side}_eyebrow_outer_end")
    along = (canvas.u - inner_u) / (outer_u - inner_u)
    arch = expand(anatomy.movement["brow_arch"]) * 4 * along * (1 - along)
    distance = np.abs(canvas.v - (inner_v + along * (outer_v - inner_v) - arch))
    width = expand(anatomy.extras["brow_width"]) * (1 - 0.6 * np.clip(along, 0, 1))
    ends = np.clip((0.5 - np.abs(along - 0.5)) * 14 + 0.5, 0, 1)
    tone = np.minimum(expand(anatomy.hair["tone"]) * 0.8, expand(anatomy.skin["tone"]) * 0.55)
    canvas.paint(0.9 * ends * canvas.coverage(width - distance), tone)


def _paint_mouth(canvas: Canvas) -> None:
    movement, tones = canvas.anatomy.movement, canvas.anatomy.skin
    skin = expand(tones["tone"])
    left_u, left_v = canvas.keypoint("mouth_left_corner")
    right_u, right_v = canvas.keypoint("mouth_right_corner")
    along = (canvas.u - right_u) / (left_u - right_u)
    position = 2 * along - 1
    parabola = 1 - position * position
    oval = np.sqrt(np.maximum(parabola, 0))
    roundness = np.clip(expand(movement["round"]), 0, 1)
    bow = np.where(parabola > 0, parabola + roundness * (oval - parabola), parabola)
    line = right_v + along * (left_v - right_v)
    top, upper, lower, bottom = (line + expand(edge) * bow for edge in lip_offsets(movement))
    lips = canvas.coverage(np.minimum(canvas.v - top, bottom - canvas.v))
    upper_lip = np.float32(0.12) * (canvas.v < (upper + lower) / 2)
    canvas.darken(lips * (1 - expand(tones["lips"]) + upper_lip))
    gap = canvas.coverage(np.minimum(canvas.v - upper, lower - canvas.v)) * lips
    canvas.paint(gap, skin * 0.12)
    teeth = np.minimum(canvas.v - upper, upper + 0.22 - canvas.v)
    visibility = np.clip(expand(movement["teeth"]) * 1.6 - 0.3, 0, 1)
    canvas.paint(gap * canvas.coverage(teeth) * visibility, 80 + 0.62 * skin)
    between_corners = np.clip(parabola * 6, 0, 1)
    canvas.paint(
        0.7 * between_corners * canvas.coverage(0.03 - np.abs(canvas.v - upper)), skin * 0.25
    )
    for u, v in ((left_u, left_v), (right_u, right_v)):
        canvas.darken(0.35 * canvas.blob(u, v, 0.16, 0.13))


def _paint_fringe(canvas: Canvas, rng: np.random.Generator) -> None:
    hair, head = canvas.anatomy.hair, canvas.anatomy.head
    offset = canvas.u - expand(hair["part"])
    # Hair falls low at the temples only, so that the brows mostly show.
    temples = np.maximum(np.abs(canvas.u) - 1.8, 0) * 2.5 - 0.85
    line = np.minimum(expand(hair["line"]) + expand(hair["wave"]) * offset * offset, temples)
    du = (canvas.u - expand(head["u"])) / expand(head["width"] + 0.05)
    dv = np.minimum((canvas.v - expand(head["v"])) / expand(head["height"] + 0.05), 0)
    fringe = canvas.coverage((1 - np.sqrt(du * du + dv * dv)) * 2)
    fringe *= canvas.coverage(line - canvas.v) * canvas.coverage(expand(hair["sides"]) - canvas.v)
    strands = rng.random((len(offset), 1, FRAME), dtype=np.float32)
    strands = (strands + np.roll(strands, 1, axis=2)) * 0.25 + 0.6
    shine = 1 + 0.35 * canvas.blob(expand(hair["part"]), expand(hair["line"]) - 0.35, 1.6, 0.5)
    canvas.paint(fringe, expand(hair["tone"]) * strands * shine)


def _paint_glasses(canvas: Canvas) -> None:
    opacity = expand(canvas.anatomy.extras["glasses"])
    for side in SIDES:
        middle_u, middle_v = canvas.keypoint(f"{side}_eye_center")
        du, dv = (canvas.u - middle_u) / 0.68, (canvas.v - middle_v - 0.06) / 0.52
        rim = np.abs(1 - np.sqrt(du * du + dv * dv)) * 0.6
        canvas.paint(opacity * canvas.coverage(0.035 - rim), 25)
    centres = [canvas.keypoint(f"{side}_eye_center")[0] for side in SIDES]
    middle = (centres[0] + centres[1]) / 2
    bridge = canvas.coverage(0.34 - np.abs(canvas.u - middle)) * canvas.coverage(
        0.04 - np.abs(canvas.v)
    )
    canvas.paint(opacity * bridge, 25)


def _simulate_camera(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur the canvas, add noise and round to uint8."""
    light, pixels = canvas.anatomy.light, canvas.pixels
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]
    blurred = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    pixels += expand(light["blur"]) * (blurred - pixels)
    # The sum of four uniform draws is close to normal, with a standard deviation of 1 here.
    random_bytes = rng.integers(0, 256, (4, *pixels.shape), dtype=np.uint8)
    noise = random_bytes.astype(np.float32)
    noise = noise[0] + noise[1] + noise[2] + noise[3]
    pixels += expand(light["noise"]) * (noise - 510) / 148
    return np.rint(np.clip(pixels, 0, 255)).astype(np.uint8)
