"""Photographs with what was seen on them: boxes, keypoints and bars of the emotions."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from emotion_ai.client.images import read_image
from emotion_ai.client.results import Box, Face
from emotion_ai.storage import write_bytes

# Okabe and Ito 2008, "Color Universal Design" (https://jfly.uni-koeln.de/color/), lightened where
# a dark panel would swallow them; told apart by people who see colours differently.
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
_OTHER = (235, 235, 235)
_PANEL = (18, 22, 28, 190)
_TEXT = (245, 246, 248)
_TRACK = (66, 72, 80, 215)
# Shown beside a face; the others are less probable.
_BARS = 3
_SMOOTH = 3
_JPEG_QUALITY = 90
# Pixels of the longer side below which a picture's copy is enlarged.
_READABLE = 288


class _Panel(NamedTuple):
    """Where a face's bars stand, and the height of one of their lines."""

    left: float
    top: float
    width: float
    height: float
    line: float


def annotated(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """A copy of `image` uint8 [H, W, 3] RGB with each face's box, keypoints and emotions.

    The three most probable emotions stand in a panel below the box, or above or inside it where the
    picture ends; lines and letters grow with the picture and the face.
    """
    picture = Image.fromarray(image).convert("RGBA")
    _draw(picture, faces)
    return np.asarray(picture.convert("RGB"))


def overlay(size: tuple[int, int], faces: Sequence[Face]) -> Image.Image:
    """What `annotated` draws on a picture of this (width, height), alone: RGBA, else transparent.

    For who draws the same on many pictures.
    """
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    _draw(picture, faces)
    return picture


def _draw(picture: Image.Image, faces: Sequence[Face]) -> None:
    unit = max(1.0, min(picture.size) / 500)
    for face in faces:
        _draw_outline(picture, face, unit)
    taken: list[Sequence[float]] = [face.box for face in faces]
    for face in faces:
        panel = _place(face, picture.size, unit, taken)
        taken.append(panel)
        _draw_panel(picture, panel, face)


def annotate_file(source: Path, faces: Sequence[Face], target: Path) -> None:
    """Write a picture file's annotated copy as JPEG, whole or not at all.

    A picture too small for letters is enlarged by a whole number; one that a face fills is given a
    strip below for the bars, which would hide its mouth.
    """
    image = read_image(source)
    times = -(-_READABLE // max(image.shape[:2]))
    if any(face.box.height > 0.8 * image.shape[0] for face in faces):
        strip = np.full((image.shape[0] // 4, image.shape[1], 3), _PANEL[:3], np.uint8)
        image = np.concatenate([image, strip])
    image = image.repeat(times, 0).repeat(times, 1)
    data = io.BytesIO()
    picture = Image.fromarray(annotated(image, [_enlarged(face, times) for face in faces]))
    picture.save(data, "JPEG", quality=_JPEG_QUALITY)
    write_bytes(str(target), data.getvalue())


def _enlarged(face: Face, times: int) -> Face:
    left, top, width, height, score = face.box
    box = Box(times * left, times * top, times * width, times * height, score)
    return replace(face, box=box, keypoints=times * (face.keypoints + 0.5) - 0.5)


def _colour(emotion: str) -> tuple[int, int, int]:
    return COLOURS.get(emotion, _OTHER)


def _draw_outline(picture: Image.Image, face: Face, unit: float) -> None:
    box = face.box
    size = min(box.width, box.height)
    # Thin lines on small faces, and everything drawn larger and reduced: smooth edges.
    thick = float(np.clip(size / 60, 1.0, 3.0 * unit))
    dot = float(np.clip(size / 70, 0.8, 4.0 * unit))
    points = face.keypoints
    edges = np.concatenate([points - 3 * dot, points + 3 * dot])
    low = np.floor(np.minimum(edges.min(0), (box.left, box.top)) - 2 * thick).astype(int)
    high = np.ceil(np.maximum(edges.max(0), (box.right, box.bottom)) + 2 * thick).astype(int)
    low, high = low.clip(0, picture.size), high.clip(0, picture.size)
    if (high <= low).any():
        return
    width, height = int(high[0] - low[0]), int(high[1] - low[1])
    layer = Image.new("RGBA", (width * _SMOOTH, height * _SMOOTH), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)

    def on_layer(x: float, y: float) -> tuple[float, float]:
        return (x - low[0]) * _SMOOTH, (y - low[1]) * _SMOOTH

    corners = (*on_layer(box.left, box.top), *on_layer(box.right, box.bottom))
    radius = 0.08 * size * _SMOOTH
    for colour, pen in (((0, 0, 0, 110), thick * 2), ((*_colour(face.emotion), 255), thick)):
        draw.rounded_rectangle(corners, radius, outline=colour, width=round(pen * _SMOOTH))
    for x, y in points + 0.5:
        for colour, reach in (((0, 0, 0, 120), dot * 1.6), ((255, 255, 255, 235), dot)):
            draw.ellipse((*on_layer(x - reach, y - reach), *on_layer(x + reach, y + reach)), colour)
    smooth = layer.resize((width, height), Image.Resampling.BOX)
    picture.alpha_composite(smooth, (int(low[0]), int(low[1])))


def _place(
    face: Face, size: tuple[int, int], unit: float, taken: Sequence[Sequence[float]]
) -> _Panel:
    """Below the box, above it, beside it: the first place that is free, else the least bad."""
    box = face.box
    line = float(np.clip(box.height / 9, 9.0 * unit, 20.0 * unit))
    width = max(box.width, 9 * line)
    height = line * (_BARS + 0.5)
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
    rated = []
    for rank, (left, top) in enumerate(corners):
        inside_x = min(max(left, 0.0), max(0.0, size[0] - width))
        inside_y = min(max(top, 0.0), max(0.0, size[1] - height))
        panel = _Panel(inside_x, inside_y, width, height, line)
        hidden = sum(_overlap(panel, other) for other in taken) / (width * height)
        moved = abs(inside_x - left) / width + abs(inside_y - top) / height
        rated.append((4 * hidden + moved + 0.1 * rank, rank, panel))
    return min(rated)[2]


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0.0, across) * max(0.0, down)


def _bars(face: Face) -> Iterator[tuple[str, float]]:
    yield from sorted(face.probabilities.items(), key=lambda named: -named[1])[:_BARS]


def _draw_panel(picture: Image.Image, panel: _Panel, face: Face) -> None:
    left, top, width, height, line = (round(number) for number in panel)
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rounded_rectangle((0, 0, layer.width - 1, layer.height - 1), line * 0.35, _PANEL)
    font = ImageFont.load_default(max(7, round(line * 0.72)))
    margin = 0.4 * line
    name_width = max(draw.textlength(name, font) for name, _ in _bars(face))
    share_width = draw.textlength("100%", font)
    start = margin + name_width + margin
    end = layer.width - share_width - 2 * margin
    for number, (name, share) in enumerate(_bars(face)):
        middle = line * (number + 0.75)
        draw.text((margin, middle), name, _TEXT, font, anchor="lm")
        draw.text((layer.width - margin, middle), f"{share:.0%}", _TEXT, font, anchor="rm")
        if end - start < line / 2:
            continue
        high = 0.18 * line
        draw.rounded_rectangle((start, middle - high, end, middle + high), high, _TRACK)
        reach = start + share * (end - start)
        if reach - start > 2 * high:
            draw.rounded_rectangle(
                (start, middle - high, reach, middle + high), high, _colour(name)
            )
    picture.alpha_composite(layer, (max(left, 0), max(top, 0)))
