"""Picture files of any format, as upright arrays in RGB or as a gray face of fixed size."""

import contextlib
import functools
import io
import warnings
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 64_000_000
# A face with fewer pixels a side is not recognisable.
MIN_SIDE = 16


class PictureError(Exception):
    """Bytes that cannot be read as a picture; the message says why."""


@functools.cache
def formats() -> tuple[str, ...]:
    """Return the formats that Pillow reads, except PostScript, which Ghostscript would execute."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def has_picture_suffix(name: str) -> bool:
    """Return whether a file's name ends as those of a format that Pillow knows."""
    return PurePosixPath(name).suffix.lower() in Image.registered_extensions()


def read_picture(
    data: bytes, size: int, accepted: Collection[str]
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Decode a picture as a gray square, resized by area averaging.

    The EXIF orientation is applied first; only the first frame of an animation is read.

    Args:
        data: The file's content.
        size: Side of the result in pixels.
        accepted: Pillow's names of the accepted formats; see `formats`.

    Returns:
        uint8 [size, size], and the picture's own (width, height) in pixels.

    Raises:
        PictureError: The data is damaged or in no accepted format, or its header states more than
            `MAX_PIXELS` pixels or a side under `MIN_SIDE`.

    Example:
        face, (width, height) = read_picture(path.read_bytes(), 48, formats())
    """
    with _picture_errors():
        upright = _open_upright(data, accepted)
        # In floats: Pillow's averages of bytes are rounded twice, always upwards.
        gray = _flatten(upright).convert("L").convert("F")
        face = gray.resize((size, size), Image.Resampling.BOX)
        return np.rint(np.asarray(face)).astype(np.uint8), upright.size


def read_photo(data: bytes, accepted: Collection[str]) -> NDArray[np.uint8]:
    """Decode a picture as uint8 [H, W, 3] RGB, upright.

    Args:
        data: The file's content.
        accepted: Pillow's names of the accepted formats; see `formats`.

    Raises:
        PictureError: As in `read_picture`.
    """
    with _picture_errors():
        return np.asarray(_flatten(_open_upright(data, accepted)).convert("RGB"))


def rgb_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert an open Pillow image to uint8 [H, W, 3] RGB, upright.

    Raises:
        PictureError: As in `read_picture`.
    """
    with _picture_errors():
        _check_size(picture.size)
        return np.asarray(_flatten(ImageOps.exif_transpose(picture)).convert("RGB"))


@contextlib.contextmanager
def _picture_errors() -> Iterator[None]:
    """Turn any failure of Pillow into `PictureError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A picture embedded in another one, as in an icon, is decoded without a look at its
            # header: here Pillow's own limit holds.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"too large: {error}") from None
    except Exception as error:
        # Pillow's decoders raise all kinds of exceptions on damaged files.
        raise PictureError(f"cannot be read: {error or type(error).__name__}") from None


def _open_upright(data: bytes, accepted: Collection[str]) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=tuple(accepted)) as picture:
        _check_size(picture.size)
        return ImageOps.exif_transpose(picture)


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{width}x{height} pixels; at most {MAX_PIXELS:,} can be read: make it smaller"
        )
    if min(size) < MIN_SIDE:
        raise PictureError(f"{width}x{height} pixels; a face has at least {MIN_SIDE} a side")


def _flatten(picture: Image.Image) -> Image.Image:
    """Reduce to eight bits a channel, with white behind transparent pixels."""
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow would clip at 255, but the high byte is wanted.
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    background = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(background, picture.convert("RGBA"))
