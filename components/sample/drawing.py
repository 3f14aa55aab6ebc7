"""Draw faces that show an emotion, with exact keypoints: data to run the whole pipeline on.

The same seed gives the same faces on every machine, and a longer sample begins with a shorter one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.labels import SAMPLE_LABEL_SET, label_set_names
from emotion_ai.sample.anatomy import draw_anatomy, keypoints_in_pixels
from emotion_ai.sample.painting import paint_faces

# Faces drawn from one generator; a multiple of the number of emotions.
_BLOCK = 140
# Faces painted at once.
_BATCH = 7


class DrawnFaces(NamedTuple):
    """Consecutive drawn faces."""

    images: NDArray[np.uint8]  # [n, 96, 96]
    keypoints: NDArray[np.float64]  # [n, 15, 2] in pixels of the images
    emotions: NDArray[np.uint8]  # [n] codes of the label set fer7


def draw_faces(count: int, seed: int) -> Iterator[DrawnFaces]:
    """Draw faces, in blocks of up to 140.

    Each seven faces, counted from the first one, show each of the seven emotions once.

    Args:
        count: Number of faces.
        seed: Determines every pixel.

    Yields:
        Blocks of faces.

    Example:
        faces = next(draw_faces(10, seed=1))
        faces.images.shape  # (10, 96, 96)
    """
    for number, start in enumerate(range(0, count, _BLOCK)):
        images, keypoints, emotions = _draw_block(np.random.default_rng([seed, number]))
        remaining = slice(count - start)
        yield DrawnFaces(images[remaining], keypoints[remaining], emotions[remaining])


def halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve the size of images [n, H, W]; each pixel is the rounded mean of 2x2."""
    wide = images.astype(np.uint16)
    rows = wide[:, ::2] + wide[:, 1::2]
    return ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4).astype(np.uint8)


def _draw_block(rng: np.random.Generator) -> DrawnFaces:
    classes = len(label_set_names(SAMPLE_LABEL_SET))
    rounds = np.tile(np.arange(classes, dtype=np.uint8), (_BLOCK // classes, 1))
    emotions = rng.permuted(rounds, axis=1).ravel()
    anatomy = draw_anatomy(rng, emotions)
    images = [
        paint_faces(anatomy.take(slice(start, start + _BATCH)), rng)
        for start in range(0, _BLOCK, _BATCH)
    ]
    return DrawnFaces(np.concatenate(images), keypoints_in_pixels(anatomy), emotions)
