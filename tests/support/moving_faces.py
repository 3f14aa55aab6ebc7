"""Frames with photographed faces that move over a landscape."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.apps.watch.opencv import load_opencv

from support.photographs import landscapes, portrait

ASTRONAUT = Path(__file__).parents[2] / "components/client/astronaut.jpg"
# Around the faces in the two photographs: left, top, width, height.
_ASTRONAUT_HEAD, _PORTRAIT_HEAD = (130, 0, 200, 240), (140, 20, 250, 310)


class Place(NamedTuple):
    """Where a head is in a frame: its middle and its height in pixels, and its tilt in degrees."""

    x: float
    y: float
    height: float
    tilt: float = 0.0


@cache
def heads() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut the heads of two photographs, of Eileen Collins and Grace Hopper, RGB."""
    with Image.open(ASTRONAUT) as picture:
        astronaut = np.asarray(picture.convert("RGB"))
    return _cut(astronaut, *_ASTRONAUT_HEAD), _cut(portrait(), *_PORTRAIT_HEAD)


@cache
def ground(width: int, height: int, number: int = 0) -> NDArray[np.uint8]:
    """Scale one of two landscapes, which have no faces."""
    return np.asarray(Image.fromarray(landscapes()[number]).resize((width, height)))


def draw_heads(
    ground: NDArray[np.uint8], placed: Sequence[tuple[NDArray[np.uint8], Place]]
) -> NDArray[np.uint8]:
    """Put heads, in soft ellipses, on a picture; later ones are in front."""
    frame = ground.copy()
    for head, place in placed:
        _put(frame, head, place)
    return frame


def _put(frame: NDArray[np.uint8], head: NDArray[np.uint8], place: Place) -> None:
    cv2 = load_opencv()
    height, width = head.shape[:2]
    # Where the head may be, however it is tilted.
    reach = np.hypot(height, width) * place.height / height / 2
    low = np.floor([place.x - reach, place.y - reach]).astype(int).clip(0, frame.shape[1::-1])
    high = np.ceil([place.x + reach, place.y + reach]).astype(int).clip(0, frame.shape[1::-1])
    size = high - low
    if not size.all():
        return
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -place.tilt, place.height / height)
    matrix[:, 2] += (place.x - width / 2 - low[0], place.y - height / 2 - low[1])
    region = frame[low[1] : high[1], low[0] : high[0]]
    warped = cv2.warpAffine(head, matrix, size.tolist())
    mask = cv2.warpAffine(_ellipse(height, width), matrix, size.tolist())[..., None]
    region[:] = np.rint(region + mask * (warped.astype(np.float32) - region))


def _cut(
    picture: NDArray[np.uint8], left: int, top: int, width: int, height: int
) -> NDArray[np.uint8]:
    return picture[top : top + height, left : left + width]


@cache
def _ellipse(height: int, width: int) -> NDArray[np.float32]:
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.5) / 0.5
    return ((1 - radius) / 0.1).clip(0, 1).astype(np.float32)
