"""Hide faces in pictures for good: a few blocks of one colour each are all that is left of them.

A weak blur can be undone, and recognised as it is (McPherson et al. 2016, "Defeating Image
Obfuscation with Deep Learning", https://arxiv.org/abs/1609.00408, for blocks of a seventh of a
face). Here a block is more than a third of a face wide.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.client.results import Box

_BLOCKS = 4
# Detectors' boxes end at the forehead and the chin. Hidden is a wider area, by this share of the
# box's sides at each of them.
_MARGIN = 0.25


def hide_faces(image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """Return a copy of a picture with blocks in the place of faces.

    Args:
        image: uint8 [H, W, 3], in any order of colours.
        boxes: The faces, as a detector finds them: more than that is hidden.
    """
    hidden = image.copy()
    for box in boxes:
        cover(hidden, box, blocks_of(image, box))
    return hidden


def blocks_of(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Return the mean colours of a face's blocks, uint8 [4, 4, 3].

    Args:
        image: uint8 [H, W, 3].
        box: The face.
    """
    left, top, right, bottom = _area(image, box)
    if right <= left or bottom <= top:
        return np.zeros((_BLOCKS, _BLOCKS, 3), np.uint8)
    area = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    return np.asarray(area.resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX))


def cover(image: NDArray[np.uint8], box: Box, blocks: NDArray[np.uint8]) -> None:
    """Put blocks in the place of a face, in the picture itself.

    Args:
        image: uint8 [H, W, 3].
        box: The face.
        blocks: As `blocks_of` returns them, of this face or another.
    """
    left, top, right, bottom = _area(image, box)
    rows, columns = (
        np.arange(max(0, length)) * _BLOCKS // max(1, length)
        for length in (bottom - top, right - left)
    )
    image[top : top + len(rows), left : left + len(columns)] = blocks[rows[:, None], columns]


def grow(box: Box, share: float) -> Box:
    """Return a box that reaches farther at each side, by a share of its width or height."""
    left, top = box.left - share * box.width, box.top - share * box.height
    return Box(left, top, (1 + 2 * share) * box.width, (1 + 2 * share) * box.height, box.score)


def _area(image: NDArray[np.uint8], box: Box) -> tuple[int, int, int, int]:
    """Return the edges of what is hidden, within the picture: left, top, right, bottom."""
    height, width = image.shape[:2]
    wide = grow(box, _MARGIN)
    low = np.floor([wide.left, wide.top]).clip(0, (width, height))
    high = np.ceil([wide.right, wide.bottom]).clip(0, (width, height))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
