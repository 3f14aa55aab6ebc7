"""Read a picture from a file, bytes or pixels as upright RGB pixels, within bounds."""

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai.errors import InputError
from emotion_ai.faces.picture_files import (
    MAX_PIXELS,
    MIN_SIDE,
    PictureError,
    UnknownFormatError,
    read_photo,
    rgb_array,
)
from emotion_ai.storage.local import open_regular

MAX_FILE_BYTES = 64 * 1024 * 1024
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF")
_EXPECTED = f"expected a picture ({', '.join(FORMATS)})"
# A Path has one slash of the two; a drive of Windows has one letter.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)

ImageLike = str | Path | bytes | Image.Image | NDArray
# The order of an array's colours; OpenCV's frames are "bgr". Files state their own.
Channels = Literal["rgb", "bgr"]


def name_of(source: ImageLike) -> str:
    """Return the path of a picture that is a file, as printable text, else ""."""
    if not isinstance(source, str | Path):
        return ""
    # A path may hold bytes that are not UTF-8.
    return os.fsencode(source).decode(errors="replace")


def read_image(
    source: ImageLike, channels: Channels = "rgb", max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read a picture as upright RGB.

    Args:
        source: A path or the bytes of a picture file, whose EXIF orientation is applied; a PIL
            image; or an array, uint8, uint16 or floats from 0 to 1, [H, W] or [H, W, 1] gray,
            [H, W, 3] in colour or [H, W, 4] with alpha. Transparent pixels become white.
        channels: The order of an array's colours.
        max_pixels: The most pixels of a picture in a file or in bytes.

    Returns:
        uint8 [H, W, 3] RGB.

    Raises:
        InputError: The file is missing, damaged, no picture or larger than `MAX_FILE_BYTES`; the
            picture has too many pixels or fewer than 16 a side; or the array has
            another shape or dtype. The message names the file where there is one.

    Example:
        pixels = read_image("party.jpg")
    """
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source, channels)
    if not isinstance(source, str | Path | bytes | Image.Image):
        raise InputError(f"a {type(source).__name__} is not a picture; {_EXPECTED}, or pixels")
    name = name_of(source)
    try:
        if isinstance(source, Image.Image):
            return rgb_array(source)
        data = source if isinstance(source, bytes) else _read_file(Path(source))
        if len(data) > MAX_FILE_BYTES:
            raise PictureError(f"more than {MAX_FILE_BYTES >> 20} MiB")
        return read_photo(data, FORMATS, max_pixels)
    except UnknownFormatError as error:
        reason = f"{error}; {_EXPECTED}"
    except PictureError as error:
        reason = str(error)
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if _ADDRESS.match(name):
            reason += "; expected a file: a picture at an address is saved first"
    raise InputError(f"{name}: {reason}" if name else reason)


def _read_file(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(MAX_FILE_BYTES + 1)


def _array_to_rgb(array: NDArray, channels: Channels) -> NDArray[np.uint8]:
    layers = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or layers not in (1, 3, 4):
        raise InputError(
            f"an array of shape {array.shape} is not a picture; expected [H, W], or [H, W, C] with "
            "1, 3 or 4 channels"
        )
    height, width = array.shape[:2]
    if height * width > MAX_PIXELS or min(height, width) < MIN_SIDE:
        raise InputError(
            f"an array of {width}x{height} pixels; expected at least {MIN_SIDE} a side and at most "
            f"{MAX_PIXELS:,} in all"
        )
    pixels = _to_uint8(array).reshape(height, width, layers)
    if layers == 4:
        alpha = pixels[..., 3:].astype(np.float32) / 255
        pixels = np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if layers == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels[..., ::-1] if channels == "bgr" else pixels)


def _to_uint8(array: NDArray) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    # In either order of bytes.
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if array.dtype.kind == "f":
        # NaN fails both comparisons.
        if array.min() >= 0 and array.max() <= 1:
            return np.rint(255 * array).astype(np.uint8)
        raise InputError(
            f"an array of {array.dtype} from {array.min():g} to {array.max():g}; expected floats "
            "from 0 to 1: divide by the largest value"
        )
    raise InputError(
        f"an array of {array.dtype} is not a picture; expected uint8, uint16 or floats"
    )
