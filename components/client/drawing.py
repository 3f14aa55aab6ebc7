"""Draw predictions on pictures: boxes, keypoints and bars of the emotions."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emotion_ai.client.blurring import hide_faces
from emotion_ai.client.images import read_image
from emotion_ai.client.results import Box, Face
from emotion_ai.client.xmp import xmp_packet
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.storage import write_bytes

# Draws faces on a picture.
Draw = Callable[[NDArray[np.uint8], Sequence[Face]], NDArray[np.uint8]]

# Okabe and Ito 2008, "Color Universal Design" (https://jfly.uni-koeln.de/color/), which people with
# colour blindness can distinguish; lightened where they are too dark for the panel.
COLOURS = {
    "angry": (230, 92, 40),
    "anger": (230, 92, 40),
    "disgust": (64, 190, 140),
    "fear": (204, 140, 190),
    "happy": (246, 220, 70),
    "sad": (86, 160, 233),
    "surprise": (240, 160, 30),
    "neutral": (190, 196, 204),
}
_OTHER_COLOUR = (235, 235, 235)
_PANEL = (18, 22, 28, 190)
_TEXT = (245, 246, 248)
_TRACK = (66, 72, 80, 215)
# Of keypoints, and of the line that shows where a face is turned; multiplied by their alpha.
_SHADE, _LIGHT = (0, 0, 0, 120), (235, 235, 235, 235)
# Of a nose that is seen from the side, in heights of the box.
_NOSE_LENGTH = 0.5
# The most probable emotions, shown beside a face.
_BARS = 3
# Outlines are drawn so many times larger and then reduced: smooth edges.
_SUPERSAMPLING = 3
_JPEG_QUALITY = 90
# A picture whose longer side has fewer pixels is enlarged, so that letters are readable.
_MIN_READABLE_SIDE = 288


class _Panel(NamedTuple):
    """The rectangle of a face's bars, and the height of one line; pixels."""

    left: float
    top: float
    width: float
    height: float
    line: float


class _Marks(NamedTuple):
    """What is drawn within a face: points, and the ends of the line from the nose, [n, 2]."""

    keypoints: NDArray[np.float64]
    nose: NDArray[np.float64]


_NOTHING = np.empty((0, 2))


def annotate(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Draw each face's box, keypoints and three most probable emotions on a copy of a picture.

    The emotions are in a panel below the box, or above or beside it where there is more room.
    Lines and letters grow with the picture and the face.

    Args:
        image: uint8 [H, W, 3] RGB.
        faces: The faces, with boxes and keypoints in its pixels.

    Returns:
        uint8 [H, W, 3] RGB.

    Example:
        pixels = read_image("party.jpg")
        with Client("127.0.0.1:8500") as client:
            drawn = annotate(pixels, client.predict(pixels))
    """
    picture = Image.fromarray(image).convert("RGBA")
    _draw(picture, faces, _all_marks)
    return np.asarray(picture.convert("RGB"))


def annotate_blurred(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Draw boxes and emotions as `annotate` does, but hide the faces, and draw no keypoints.

    Args:
        image: uint8 [H, W, 3] RGB.
        faces: The faces, with boxes in its pixels.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    picture = Image.fromarray(hide_faces(image, [face.box for face in faces])).convert("RGBA")
    _draw(picture, faces, _no_marks)
    return np.asarray(picture.convert("RGB"))


def draw_overlay(size: tuple[int, int], faces: Sequence[Face]) -> Image.Image:
    """Draw what `annotate` draws on a transparent picture, to put on several frames.

    Args:
        size: Width and height in pixels.
        faces: The faces.

    Returns:
        An RGBA picture.
    """
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    _draw(picture, faces, _all_marks)
    return picture


def draw_boxes(size: tuple[int, int], faces: Sequence[Face]) -> Image.Image:
    """Draw what `annotate_blurred` draws on a transparent picture; see `draw_overlay`."""
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    _draw(picture, faces, _no_marks)
    return picture


def _all_marks(face: Face) -> _Marks:
    return _Marks(face.keypoints, _nose(face) if face.pose else _NOTHING)


def _no_marks(face: Face) -> _Marks:
    return _Marks(_NOTHING, _NOTHING)


def _draw(picture: Image.Image, faces: Sequence[Face], marks_of: Callable[[Face], _Marks]) -> None:
    unit = max(1.0, min(picture.size) / 500)
    for face in faces:
        _draw_outline(picture, face, unit, marks_of(face))
    taken: list[Sequence[float]] = [face.box for face in faces]
    for face in faces:
        panel = _place_panel(face, picture.size, unit, taken)
        taken.append(panel)
        _draw_panel(picture, panel, face)


def annotate_file(
    source: Path,
    faces: Sequence[Face],
    target: Path,
    draw: Draw = annotate,
    about: Mapping[str, str] = {},
) -> None:
    """Write an annotated copy of a picture file as JPEG, atomically.

    A picture too small for letters is enlarged by a whole factor. Where a face fills the picture, a
    strip is added below it for the panel, which would otherwise cover the mouth. Nothing of the
    picture's metadata (its place, a preview) is in the copy.

    Args:
        source: The picture file.
        faces: Its faces.
        target: The file to write.
        draw: Draws the faces: `annotate` or `annotate_blurred`.
        about: What the copy's own metadata says, by name.

    Raises:
        InputError: The picture cannot be read.
        Unavailable: The copy cannot be written.
    """
    image = read_image(source)
    scale = -(-_MIN_READABLE_SIDE // max(image.shape[:2]))
    if any(face.box.height > 0.8 * image.shape[0] for face in faces):
        strip = np.full((image.shape[0] // 4, image.shape[1], 3), _PANEL[:3], np.uint8)
        image = np.concatenate([image, strip])
    image = image.repeat(scale, 0).repeat(scale, 1)
    data = io.BytesIO()
    picture = Image.fromarray(draw(image, [_enlarge(face, scale) for face in faces]))
    picture.save(data, "JPEG", quality=_JPEG_QUALITY, xmp=xmp_packet(about))
    write_bytes(str(target), data.getvalue())


def _enlarge(face: Face, scale: int) -> Face:
    left, top, width, height, score = face.box
    box = Box(scale * left, scale * top, scale * width, scale * height, score)
    return replace(face, box=box, keypoints=scale * (face.keypoints + 0.5) - 0.5)


def _colour(emotion: str) -> tuple[int, int, int]:
    return COLOURS.get(emotion, _OTHER_COLOUR)


def _nose(face: Face) -> NDArray[np.float64]:
    """Return both ends of the line from the nose's tip to where the face is turned, [2, 2]."""
    tip = face.keypoints[NAMES.index("nose_tip")]
    direction = face.pose.direction() if face.pose else (0.0, 0.0)
    return np.array([tip, tip + _NOSE_LENGTH * face.box.height * np.array(direction)])


def _draw_outline(picture: Image.Image, face: Face, unit: float, marks: _Marks) -> None:
    box = face.box
    size = min(box.width, box.height)
    line_width = float(np.clip(size / 60, 1.0, 3.0 * unit))
    dot = float(np.clip(size / 70, 0.8, 4.0 * unit))
    keypoints, nose = marks
    # The corner, so that there is one point at least.
    seen = np.concatenate([keypoints, nose, [[box.left, box.top]]])
    edges = np.concatenate([seen - 3 * dot, seen + 3 * dot])
    low = np.floor(np.minimum(edges.min(0), (box.left, box.top)) - 2 * line_width).astype(int)
    high = np.ceil(np.maximum(edges.max(0), (box.right, box.bottom)) + 2 * line_width).astype(int)
    low, high = low.clip(0, picture.size), high.clip(0, picture.size)
    if (high <= low).any():
        return
    width, height = int(high[0] - low[0]), int(high[1] - low[1])
    layer_size = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
    # With colours multiplied by their alpha, it need not be converted to be reduced.
    layer = Image.new("RGBa", layer_size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)

    def on_layer(x: float, y: float) -> tuple[float, float]:
        return (x - low[0]) * _SUPERSAMPLING, (y - low[1]) * _SUPERSAMPLING

    corners = (*on_layer(box.left, box.top), *on_layer(box.right, box.bottom))
    corner_radius = 0.08 * size * _SUPERSAMPLING
    outline = (*(_OTHER_COLOUR if face.cannot_tell else _colour(face.emotion)), 255)
    for colour, pen in (((0, 0, 0, 110), line_width * 2), (outline, line_width)):
        pen_width = round(pen * _SUPERSAMPLING)
        draw.rounded_rectangle(corners, corner_radius, outline=colour, width=pen_width)
    for colour, pen in ((_SHADE, 3.2 * dot), (_LIGHT, 1.6 * dot)) if len(nose) else ():
        start, end = (on_layer(*point) for point in nose + 0.5)
        draw.line((*start, *end), colour, round(pen * _SUPERSAMPLING))
    for x, y in keypoints + 0.5:
        for colour, radius in ((_SHADE, dot * 1.6), (_LIGHT, dot)):
            ellipse = (*on_layer(x - radius, y - radius), *on_layer(x + radius, y + radius))
            draw.ellipse(ellipse, colour)
    reduced = layer.reduce(_SUPERSAMPLING).convert("RGBA")
    picture.alpha_composite(reduced, (int(low[0]), int(low[1])))


def _place_panel(
    face: Face, size: tuple[int, int], unit: float, taken: Sequence[Sequence[float]]
) -> _Panel:
    """Choose a place below, above or beside the box: the first that is free, else the best."""
    box = face.box
    line = float(np.clip(box.height / 9, 9.0 * unit, 20.0 * unit))
    width = max(box.width, 9 * line)
    height = line * (_BARS + bool(face.cannot_tell) + 0.5)
    middle = box.left + (box.width - width) / 2
    gap = line / 3
    corners = (
        (middle, box.bottom + gap),
        (middle, box.top - height - gap),
        (box.right + gap, box.top),
        (box.left - width - gap, box.top),
        (box.right + gap, box.bottom - height),
        (box.left - width - gap, box.bottom - height),
    )
    candidates = []
    for rank, (left, top) in enumerate(corners):
        inside_x = min(max(left, 0.0), max(0.0, size[0] - width))
        inside_y = min(max(top, 0.0), max(0.0, size[1] - height))
        panel = _Panel(inside_x, inside_y, width, height, line)
        covered = sum(_overlap(panel, other) for other in taken) / (width * height)
        moved = abs(inside_x - left) / width + abs(inside_y - top) / height
        candidates.append((4 * covered + moved + 0.1 * rank, rank, panel))
    return min(candidates)[2]


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def _most_probable(face: Face) -> list[tuple[str, float]]:
    return sorted(face.probabilities.items(), key=lambda item: -item[1])[:_BARS]


def _draw_panel(picture: Image.Image, panel: _Panel, face: Face) -> None:
    left, top, width, height, line = (round(number) for number in panel)
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rounded_rectangle((0, 0, layer.width - 1, layer.height - 1), line * 0.35, _PANEL)
    font = ImageFont.load_default(max(7, round(line * 0.72)))
    margin = 0.4 * line
    bars = _most_probable(face)
    name_width = max(draw.textlength(name, font) for name, _ in bars)
    percent_width = draw.textlength("100%", font)
    start = margin + name_width + margin
    end = layer.width - percent_width - 2 * margin
    if face.cannot_tell:
        # The bars stay: they say between which emotions it hesitates.
        draw.text((margin, 0.75 * line), f"cannot tell: {face.cannot_tell}", _TEXT, font, "lm")
    for number, (name, probability) in enumerate(bars, bool(face.cannot_tell)):
        middle = line * (number + 0.75)
        draw.text((margin, middle), name, _TEXT, font, anchor="lm")
        draw.text((layer.width - margin, middle), f"{probability:.0%}", _TEXT, font, anchor="rm")
        if end - start < line / 2:
            continue
        half_height = 0.18 * line
        top_y, bottom_y = middle - half_height, middle + half_height
        draw.rounded_rectangle((start, top_y, end, bottom_y), half_height, _TRACK)
        filled_end = start + probability * (end - start)
        # A shorter bar has no room for its round ends.
        if filled_end - start > 2 * half_height:
            filled = (start, top_y, filled_end, bottom_y)
            colour = _OTHER_COLOUR if face.cannot_tell else _colour(name)
            draw.rounded_rectangle(filled, half_height, colour)
    picture.alpha_composite(layer, (max(left, 0), max(top, 0)))
