"""The panel beside a face on a picture: its most probable emotions as bars, in their colours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from emotion_ai.client.results import Face

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
OTHER_COLOUR = (235, 235, 235)
PANEL_COLOUR = (18, 22, 28, 190)
_TEXT = (245, 246, 248)
_TRACK = (66, 72, 80, 215)
# The most probable emotions, shown beside a face.
_BARS = 3


class Panel(NamedTuple):
    """The rectangle of a face's bars, and the height of one line; pixels."""

    left: float
    top: float
    width: float
    height: float
    line: float


def colour_of(emotion: str) -> tuple[int, int, int]:
    """Return the colour of an emotion, RGB; one for all that have none of their own."""
    return COLOURS.get(emotion, OTHER_COLOUR)


def place_panel(
    face: Face, size: tuple[int, int], unit: float, taken: Sequence[Sequence[float]]
) -> Panel:
    """Choose a place below, above or beside the box: the first that is free, else the best.

    Args:
        face: The face.
        size: The picture's width and height in pixels.
        unit: Pixels of the finest line that is well seen.
        taken: Rectangles to keep free: left, top, width, height and more.
    """
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
        panel = Panel(inside_x, inside_y, width, height, line)
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


def draw_panel(picture: Image.Image, panel: Panel, face: Face) -> None:
    """Draw a face's most probable emotions on an RGBA picture."""
    left, top, width, height, line = (round(number) for number in panel)
    layer = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    draw.rounded_rectangle((0, 0, layer.width - 1, layer.height - 1), line * 0.35, PANEL_COLOUR)
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
            colour = OTHER_COLOUR if face.cannot_tell else colour_of(name)
            draw.rounded_rectangle(filled, half_height, colour)
    picture.alpha_composite(layer, (max(left, 0), max(top, 0)))
