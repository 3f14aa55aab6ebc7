"""Faces as bad cameras, light and networks leave them: 18 corruptions, each in 5 severities.

They follow Hendrycks and Dietterich 2019 (https://arxiv.org/abs/1903.12261), with amounts for gray
faces of 48 pixels, and with what faces meet beside those: a hidden part, a side in shadow, another
size, a turn.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

SEVERITIES = 5

Corrupt = Callable[[NDArray[np.uint8], int, np.random.Generator], NDArray]


def corrupt(
    images: NDArray[np.uint8], name: str, severity: int, seed: int = 0
) -> NDArray[np.uint8]:
    """Corrupt faces; the same arguments give the same pixels.

    Args:
        images: uint8 [n, H, H].
        name: One of `CORRUPTIONS`.
        severity: From 1 to `SEVERITIES`.
        seed: Of what is random.

    Returns:
        uint8 [n, H, H].
    """
    changed = CORRUPTIONS[name](images, severity - 1, np.random.default_rng(seed))
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _gaussian_noise(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    return images + rng.normal(0, (8, 14, 22, 32, 45)[severity], images.shape)


def _shot_noise(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    photons = (120, 60, 30, 15, 8)[severity]
    return rng.poisson(images / 255 * photons) / photons * 255


def _impulse_noise(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    share = (0.01, 0.03, 0.06, 0.1, 0.17)[severity]
    drawn = rng.random(images.shape)
    return np.where(drawn < share / 2, 0, np.where(drawn > 1 - share / 2, 255, images))


def _speckle_noise(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    return images * (1 + rng.normal(0, (0.1, 0.18, 0.26, 0.36, 0.5)[severity], images.shape))


def _gaussian_blur(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    radius = (0.6, 1.0, 1.5, 2.0, 2.6)[severity]
    return _each(images, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def _defocus_blur(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    radius = (1.0, 1.5, 2.0, 2.7, 3.5)[severity]
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _mean_of_shifts(images, np.argwhere(x**2 + y**2 <= radius**2) - reach)


def _motion_blur(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    reach = (1, 2, 3, 4, 6)[severity]
    slope = rng.uniform(-0.5, 0.5)
    return _mean_of_shifts(images, [(round(slope * x), x) for x in range(-reach, reach + 1)])


def _zoom_blur(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    largest = (1.06, 1.11, 1.17, 1.24, 1.33)[severity]
    return np.mean([_zoom(images, scale) for scale in np.linspace(1, largest, 6)], axis=0)


def _brighter(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    return images + 255.0 * (0.1, 0.2, 0.3, 0.4, 0.5)[severity]


def _darker(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    # A gain and a gamma, as of too short an exposure.
    return 255 * (images / 255 * (0.7, 0.5, 0.35, 0.22, 0.12)[severity]) ** 1.2


def _low_contrast(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    mean = images.mean((1, 2), keepdims=True)
    return mean + (images - mean) * (0.6, 0.4, 0.28, 0.18, 0.1)[severity]


def _fog(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    share = (0.25, 0.4, 0.52, 0.64, 0.75)[severity]
    side = images.shape[1]
    cloud = np.zeros((len(images), side, side))
    for cells in (2, 4, 8):
        noise = rng.random((len(images), cells, cells)) * 255
        big = _each(
            noise.astype(np.uint8), lambda i: i.resize((side, side), Image.Resampling.BICUBIC)
        )
        cloud += big * (2 / cells)
    cloud = 120 + 135 * cloud / cloud.max((1, 2), keepdims=True)
    return images * (1 - share) + cloud * share


def _pixelate(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    size = round(images.shape[1] * (0.6, 0.45, 0.35, 0.28, 0.21)[severity])
    return _resample(images, size, Image.Resampling.BOX, Image.Resampling.NEAREST)


def _small(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    size = round(images.shape[1] * (0.6, 0.45, 0.35, 0.28, 0.21)[severity])
    return _resample(images, size, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


def _jpeg(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    quality = (40, 25, 15, 10, 6)[severity]

    def encode(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "jpeg", quality=quality)
        return Image.open(buffer)

    return _each(images, encode)


def _hidden_part(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    side = round(images.shape[1] * (0.2, 0.28, 0.36, 0.44, 0.52)[severity])
    hidden = images.copy()
    for image, (y, x) in zip(
        hidden, rng.integers(0, images.shape[1] - side + 1, (len(images), 2)), strict=True
    ):
        image[y : y + side, x : x + side] = rng.integers(0, 256)
    return hidden


def _side_in_shadow(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    dark = (0.3, 0.45, 0.6, 0.75, 0.88)[severity]
    side = images.shape[1]
    ramp = 1 / (1 + np.exp((np.arange(side) - side / 2) / (side / 24)))
    turned = np.where(rng.random((len(images), 1, 1)) < 0.5, ramp, ramp[::-1])
    return images * (1 - dark * turned)


def _turned(images: NDArray, severity: int, rng: np.random.Generator) -> NDArray:
    degrees = (8, 15, 22, 30, 40)[severity]
    edge = images.shape[1] // 2
    padded = np.pad(images, ((0, 0), (edge, edge), (edge, edge)), mode="edge")
    turned = [
        Image.fromarray(image).rotate(sign * degrees, Image.Resampling.BILINEAR)
        for image, sign in zip(padded, rng.choice((-1, 1), len(images)), strict=True)
    ]
    return np.stack([np.asarray(image)[edge:-edge, edge:-edge] for image in turned])


CORRUPTIONS: dict[str, Corrupt] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "speckle_noise": _speckle_noise,
    "gaussian_blur": _gaussian_blur,
    "defocus_blur": _defocus_blur,
    "motion_blur": _motion_blur,
    "zoom_blur": _zoom_blur,
    "too_bright": _brighter,
    "too_dark": _darker,
    "low_contrast": _low_contrast,
    "fog": _fog,
    "pixelated": _pixelate,
    "small": _small,
    "jpeg": _jpeg,
    "hidden_part": _hidden_part,
    "side_in_shadow": _side_in_shadow,
    "turned": _turned,
}


def _each(images: NDArray, change: Callable[[Image.Image], Image.Image]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in images])


def _resample(
    images: NDArray, size: int, down: Image.Resampling, up: Image.Resampling
) -> NDArray[np.uint8]:
    side = images.shape[1]
    return _each(images, lambda i: i.resize((size, size), down).resize((side, side), up))


def _zoom(images: NDArray, scale: float) -> NDArray[np.uint8]:
    side = images.shape[1]
    edge = (side - side / scale) / 2
    box = (edge, edge, side - edge, side - edge)
    return _each(images, lambda i: i.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _mean_of_shifts(images: NDArray, shifts: Sequence[tuple[int, int]] | NDArray) -> NDArray:
    """The mean of the images moved by each (down, right), their edges repeated."""
    reach = int(np.abs(np.asarray(shifts)).max())
    side = images.shape[1]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach)), mode="edge").astype(float)
    moved = [
        padded[:, reach + y : reach + y + side, reach + x : reach + x + side] for y, x in shifts
    ]
    return np.mean(moved, axis=0)
