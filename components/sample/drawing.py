"""Draw faces that show an emotion, with exact keypoints: data to run the whole chain on.

The same seed gives the same faces on every machine, and a longer sample begins with a shorter one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.labels import label_set_names
from emotion_ai.sample.anatomy import draw_anatomy, keypoints_in_pixels
from emotion_ai.sample.painting import paint_faces

# One seed for each block; a whole number of rounds through the emotions.
_BLOCK = 140
_PAINTED_AT_ONCE = 7


class DrawnFaces(NamedTuple):
    """Some drawn faces, in order."""

    images: NDArray[np.uint8]  # [n, 96, 96]
    keypoints: NDArray[np.float64]  # [n, 15, 2] in pixels of the images
    emotions: NDArray[np.uint8]  # [n] codes of the label set fer7


def draw_faces(count: int, seed: int) -> Iterator[DrawnFaces]:
    """Draw `count` faces, a block at a time.

    Among any seven that follow one another from the start, each emotion shows once.
    """
    for number, start in enumerate(range(0, count, _BLOCK)):
        images, keypoints, emotions = _draw_block(np.random.default_rng([seed, number]))
        left = slice(count - start)
        yield DrawnFaces(images[left], keypoints[left], emotions[left])


def halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images [n, H, W] at half the size: each pixel the rounded mean of 2x2."""
    wide = images.astype(np.uint16)
    rows = wide[:, ::2] + wide[:, 1::2]
    return ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4).astype(np.uint8)


def _draw_block(rng: np.random.Generator) -> DrawnFaces:
    classes = len(label_set_names("fer7"))
    rounds = np.tile(np.arange(classes, dtype=np.uint8), (_BLOCK // classes, 1))
    emotions = rng.permuted(rounds, axis=1).ravel()
    anatomy = draw_anatomy(rng, emotions)
    images = [
        paint_faces(anatomy.part(slice(start, start + _PAINTED_AT_ONCE)), rng)
        for start in range(0, _BLOCK, _PAINTED_AT_ONCE)
    ]
    return DrawnFaces(np.concatenate(images), keypoints_in_pixels(anatomy), emotions)
