"""Picture files of any format, as upright arrays in RGB or as a gray face of fixed size."""

import contextlib
import functools
import io
import warnings
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from emotion_ai.faces.picture_metadata import turn_upright, without_metadata

MAX_PIXELS = 64_000_000
# So many are copied at a time.
_BAND_PIXELS = 1_000_000
# A face with fewer pixels a side is not recognisable.
MIN_SIDE = 16
# Where in a file which bytes tell a format that is not read, and what to say of it.
_UNREAD = (
    (
        4,
        (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypheim", b"ftypmif1", b"ftypmsf1"),
        "a HEIC photo, which is not read: save it as JPEG (an iPhone takes JPEG photos with "
        "Settings > Camera > Formats > Most Compatible)",
    ),
    (0, (b"\xff\x0a", b"\0\0\0\x0cJXL "), "a JPEG XL, which is not read: save it as JPEG"),
    (
        0,
        (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        "a TIFF or raw photo, damaged or of a kind that is not read: save it with 8 bits a channel",
    ),
)


class PictureError(Exception):
    """Bytes that cannot be read as a picture; the message says why."""


class UnknownFormatError(PictureError):
    """Bytes of no format that is read."""


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


def read_photo(
    data: bytes, accepted: Collection[str], max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a picture as uint8 [H, W, 3] RGB, upright.

    Args:
        data: The file's content.
        accepted: Pillow's names of the accepted formats; see `formats`.
        max_pixels: The most pixels that the picture's header may state.

    Raises:
        PictureError: As in `read_picture`.
    """
    with _picture_errors():
        return _copy_rgb(_flatten(_open_upright(data, accepted, max_pixels)))


def _copy_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """Copy a picture in bands: at once it takes the memory of two more, and holds the GIL."""
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = picture.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(band if band.mode == "RGB" else band.convert("RGB"))
    return pixels


def photo_size(data: bytes, accepted: Collection[str]) -> tuple[int, int]:
    """Return the width and height that a picture's header states.

    Args:
        data: The file's content.
        accepted: Pillow's names of the accepted formats; see `formats`.

    Raises:
        PictureError: The header is damaged, or of no accepted format.
    """
    with _picture_errors(), Image.open(io.BytesIO(data), formats=tuple(accepted)) as picture:
        return picture.size


def rgb_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert an open Pillow image to uint8 [H, W, 3] RGB, upright.

    Raises:
        PictureError: As in `read_picture`.
    """
    with _picture_errors():
        _check_size(picture.size)
        return np.asarray(_flatten(turn_upright(picture)).convert("RGB"))


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
    except UnidentifiedImageError as error:
        raise UnknownFormatError(str(error)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"too large: {error}") from None
    except Exception as error:
        # Pillow's decoders raise all kinds of exceptions on damaged files.
        raise PictureError(f"cannot be read: {error or type(error).__name__}") from None


def _open_upright(
    data: bytes, accepted: Collection[str], max_pixels: int = MAX_PIXELS
) -> Image.Image:
    try:
        return _open(data, accepted, max_pixels)
    except PictureError:
        raise
    except Exception:
        stripped = without_metadata(data)
        if stripped == data:
            raise
    return _open(stripped, accepted, max_pixels)


def _open(data: bytes, accepted: Collection[str], max_pixels: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=tuple(accepted)) as picture:
            _check_size(picture.size, max_pixels)
            # Of the 32 bits for a pixel of PNG and PGM, 16 are in the file.
            has_16_bits = picture.mode == "I" and picture.format in ("PNG", "PPM")
            upright = turn_upright(picture)
            return _high_bytes(upright) if has_16_bits else upright
    except UnidentifiedImageError:
        raise UnidentifiedImageError(_describe_unread(data)) from None


def _describe_unread(data: bytes) -> str:
    """Say what a file is that Pillow does not read."""
    for offset, magics, what in _UNREAD:
        if data.startswith(magics, offset):
            return what
    return "not a picture"


def _check_size(size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> None:
    width, height = size
    if width * height > max_pixels:
        raise PictureError(
            f"{width}x{height} pixels; at most {max_pixels:,} can be read: make it smaller"
        )
    if min(size) < MIN_SIDE:
        raise PictureError(f"{width}x{height} pixels; a face has at least {MIN_SIDE} a side")


def _flatten(picture: Image.Image) -> Image.Image:
    """Reduce to eight bits a channel, with white behind transparent pixels."""
    if picture.mode.startswith("I;16"):
        return _high_bytes(picture)
    if picture.mode in ("I", "F"):
        return _scale(np.asarray(picture))
    if not picture.has_transparency_data:
        return picture
    background = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(background, picture.convert("RGBA"))


def _high_bytes(picture: Image.Image) -> Image.Image:
    """Reduce 16 bits a pixel to 8; Pillow would clip at 255."""
    return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))


def _scale(values: NDArray) -> Image.Image:
    """Reduce 32 bits a pixel to 8, by the range in which the values are."""
    lowest, highest = float(values.min()), float(values.max())
    is_float = values.dtype.kind == "f"
    # NaN fails every comparison.
    if not (lowest >= 0 and highest <= 65_535):
        raise PictureError(
            f"32 bits a pixel from {lowest:g} to {highest:g}; expected "
            f"{'0 to 1, ' if is_float else ''}0 to 255 or 0 to 65535: save it with 8 bits"
        )
    if is_float and highest <= 1:
        values = 255 * values
    elif highest > 255:
        values = values // 256
    return Image.fromarray((np.rint(values) if is_float else values).astype(np.uint8))
