"""From boxes in a photograph to faces framed as the networks learnt them, and the way back."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.client.results import Box
from emotion_ai.faces.keypoints import FRAME

# Gives the (left, top, width, height) to cut out, in pixels, for the face in a box.
Framing = Callable[[Box], tuple[float, float, float, float]]


def whole(box: Box) -> tuple[float, float, float, float]:
    """The box itself, stretched to the frame where it is no square."""
    return box[:4]


def square(scale: float, down: float) -> Framing:
    """A square of `scale` times the box's mean side, `down` of its height below its middle."""

    def frame(box: Box) -> tuple[float, float, float, float]:
        side = scale * (box.width + box.height) / 2
        middle = box.top + box.height * (0.5 + down)
        return box.left + (box.width - side) / 2, middle - side / 2, side, side

    return frame


def crop_faces(
    image: NDArray[np.uint8], boxes: Sequence[Box], framing: Framing
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut faces out of `image` uint8 [H, W, 3] RGB.

    Returns the faces, uint8 [n, 96, 96, 1] gray, scaled by area averaging, the picture's edge
    pixels going on outside it; and what was cut out, float64 [n, 4] as (left, top, width, height).
    """
    frames = np.array([framing(box) for box in boxes], np.float64).reshape(-1, 4)
    faces = [_crop(image, *frame) for frame in frames]
    return np.array(faces, np.uint8).reshape(-1, FRAME, FRAME, 1), frames


def to_image_coordinates(keypoints: NDArray, frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keypoints [n, 15, 2] of faces in the 96x96 frame as float64 pixels of their photograph.

    `frames` is what `crop_faces` cut out.
    """
    scale = frames[:, None, 2:] / FRAME
    # Pixel centres lie at whole numbers, so half a pixel is added before scaling.
    return frames[:, None, :2] + (keypoints.astype(np.float64) + 0.5) * scale - 0.5


def _crop(
    image: NDArray[np.uint8], left: float, top: float, width: float, height: float
) -> NDArray[np.uint8]:
    first_x, first_y = int(np.floor(left)), int(np.floor(top))
    columns = np.arange(first_x, int(np.ceil(left + width))).clip(0, image.shape[1] - 1)
    rows = np.arange(first_y, int(np.ceil(top + height))).clip(0, image.shape[0] - 1)
    region = Image.fromarray(image[rows[:, None], columns])
    x, y = left - first_x, top - first_y
    # In floats: Pillow's averages of bytes are rounded twice, always upwards.
    gray = region.convert("L").convert("F")
    face = gray.resize((FRAME, FRAME), Image.Resampling.BOX, box=(x, y, x + width, y + height))
    return np.rint(np.asarray(face)).astype(np.uint8)
