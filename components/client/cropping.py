"""Crop faces from pictures as the networks were trained on them, and map keypoints back."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.client.results import Box
from emotion_ai.faces.keypoints import FRAME

# Maps a face's box to the (left, top, width, height) to crop, in pixels.
Framing = Callable[[Box], tuple[float, float, float, float]]


def whole(box: Box) -> tuple[float, float, float, float]:
    """Frame the box itself; one that is not square is stretched."""
    return box[:4]


def square(scale: float, down: float) -> Framing:
    """Make a framing of squares around the boxes.

    Args:
        scale: The square's side, in mean sides of the box.
        down: How far the square's centre is below the box's, in heights of the box.
    """

    def frame(box: Box) -> tuple[float, float, float, float]:
        side = scale * (box.width + box.height) / 2
        middle = box.top + box.height * (0.5 + down)
        return box.left + (box.width - side) / 2, middle - side / 2, side, side

    return frame


def crop_faces(
    image: NDArray[np.uint8], boxes: Sequence[Box], framing: Framing
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Crop faces and scale them to the networks' input by area averaging.

    Beyond the picture's edge its outermost pixels are repeated.

    Args:
        image: uint8 [H, W, 3] RGB.
        boxes: Where the faces are.
        framing: What to crop for a box.

    Returns:
        The faces, uint8 [n, 96, 96, 1] gray; and what was cropped, float64 [n, 4]: left, top,
        width, height in pixels of the picture.
    """
    frames = np.array([framing(box) for box in boxes], np.float64).reshape(-1, 4)
    faces = [_crop(image, *frame) for frame in frames]
    return np.array(faces, np.uint8).reshape(-1, FRAME, FRAME, 1), frames


def to_image_coordinates(keypoints: NDArray, frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map keypoints from the 96x96 frame to the picture that the faces were cropped from.

    Args:
        keypoints: [n, 15, 2] in pixels of the frame.
        frames: [n, 4], as `crop_faces` returns them.

    Returns:
        float64 [n, 15, 2] in pixels of the picture.
    """
    scale = frames[:, None, 2:] / FRAME
    # Pixel centres are at whole numbers, so half a pixel is added before scaling.
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
