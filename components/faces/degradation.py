"""Faces as a worse camera shows them: with noise, blurred, or as JPEG keeps them.

Training faces are degraded, so that a network knows such faces. `corruptions.py` has more kinds,
and stronger ones, to test networks with.
"""

import numpy as np
from numpy.typing import NDArray

# Standard deviation of the strongest noise, in gray levels.
_NOISE = 18
_LOWEST_QUALITY, _HIGHEST_QUALITY = 8, 95

# Side of JPEG's blocks.
_BLOCK = 8
# Quantisation of luminance at quality 50, rows by vertical frequency: table K.1 of ITU-T T.81
# (https://www.w3.org/Graphics/JPEG/itu-t81.pdf).
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def degrade(images: NDArray[np.float32], share: float, rng: np.random.Generator) -> None:
    """Degrade some faces, in place: a third each by noise, by blur and by JPEG.

    Amounts are drawn uniformly: the standard deviation of the noise up to 18 gray levels, the
    blur's share up to 1, JPEG's quality from 8 to 95.

    Args:
        images: float32 [n, H, H] within 0..255; so they stay.
        share: Probability of degrading a face.
        rng: The source of the amounts and of the noise.
    """
    count = len(images)
    drawn = rng.random(count) < share
    kind = rng.integers(3, size=count)
    amount = rng.random(count, np.float32)
    noisy, blurred, compressed = (np.flatnonzero(drawn & (kind == number)) for number in range(3))
    noise = rng.standard_normal((len(noisy), *images.shape[1:]), np.float32)
    noise *= _NOISE * amount[noisy, None, None]
    images[noisy] = np.clip(images[noisy] + noise, 0, 255)
    images[blurred] = blur(images[blurred], amount[blurred])
    qualities = _LOWEST_QUALITY + amount * (_HIGHEST_QUALITY + 1 - _LOWEST_QUALITY)
    images[compressed] = compress(images[compressed], qualities[compressed].astype(int))


def blur(images: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blend each face with its mean over 3x3 pixels; edge pixels are repeated.

    Args:
        images: float32 [n, H, H].
        share: float32 [n], the share of the mean, 0..1.

    Returns:
        float32 [n, H, H] on the scale of the input.
    """
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    mean = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return images + share[:, None, None] * (mean - images)


def compress(images: NDArray[np.float32], quality: NDArray[np.integer]) -> NDArray[np.float32]:
    """Quantise each face as JPEG does its luminance.

    Args:
        images: float32 [n, H, H] within 0..255. A side that is no multiple of 8 is padded with
            its last pixel, and cropped again.
        quality: Integers [n], 1..100, on the scale of the Independent JPEG Group's encoder.

    Returns:
        float32 [n, H, H] within 0..255, not rounded.
    """
    count, side = images.shape[:2]
    margin = -side % _BLOCK
    padded = np.pad(images, ((0, 0), (0, margin), (0, margin)), mode="edge") - 128
    blocks = (side + margin) // _BLOCK
    frequencies = _transform_blocks(padded, _COSINES).reshape(count, blocks, _BLOCK, blocks, _BLOCK)
    steps = _quantisation(quality)[:, None, :, None, :]
    frequencies /= steps
    np.rint(frequencies, out=frequencies)
    frequencies *= steps
    restored = _transform_blocks(frequencies.reshape(padded.shape), _COSINES.T)
    return np.clip(restored[:, :side, :side] + 128, 0, 255)


def _transform_blocks(
    images: NDArray[np.float32], matrix: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Multiply the columns and the rows of each block by a matrix [8, 8]; float32 [n, H, H]."""
    columns: NDArray[np.float32] = matrix @ images.reshape(-1, _BLOCK, images.shape[2])
    changed: NDArray[np.float32] = columns.reshape(-1, _BLOCK) @ matrix.T
    return changed.reshape(images.shape)


def _quantisation(quality: NDArray[np.integer]) -> NDArray[np.float32]:
    """Scale the table to each quality, as that encoder does: float32 [n, 8, 8]."""
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    steps = (_LUMINANCE * percent[:, None, None] + 50) // 100
    return np.clip(steps, 1, 255).astype(np.float32)


def _cosine_transform() -> NDArray[np.float32]:
    """The orthonormal discrete cosine transform of 8 values (DCT-II), [frequency, place]."""
    frequency = np.arange(_BLOCK)[:, None]
    waves = np.cos((2 * np.arange(_BLOCK) + 1) * frequency * np.pi / (2 * _BLOCK)) / 2
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


_COSINES = _cosine_transform()
