"""Draw predictions on pictures: boxes, keypoints and bars of the emotions."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from emotion_ai.client.blurring import hide_faces
from emotion_ai.client.images import read_image
from emotion_ai.client.panels import (
    OTHER_COLOUR,
    PANEL_COLOUR,
    colour_of,
    draw_panel,
    place_panel,
)
from emotion_ai.client.results import Box, Face
from emotion_ai.client.xmp import xmp_packet
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.storage import write_bytes

# Draws faces on a picture.
Draw = Callable[[NDArray[np.uint8], Sequence[Face]], NDArray[np.uint8]]

# Of keypoints, and of the line that shows where a face is turned; multiplied by their alpha.
_SHADE, _LIGHT = (0, 0, 0, 120), (235, 235, 235, 235)
# Of a nose that is seen from the side, in heights of the box.
_NOSE_LENGTH = 0.5
# Outlines are drawn so many times larger and then reduced: smooth edges.
_SUPERSAMPLING = 3
_JPEG_QUALITY = 90
# A picture whose longer side has fewer pixels is enlarged, so that letters are readable.
_MIN_READABLE_SIDE = 288


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
        panel = place_panel(face, picture.size, unit, taken)
        taken.append(panel)
        draw_panel(picture, panel, face)


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
        strip = np.full((image.shape[0] // 4, image.shape[1], 3), PANEL_COLOUR[:3], np.uint8)
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
    outline = (*(OTHER_COLOUR if face.cannot_tell else colour_of(face.emotion)), 255)
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
