"""Picture files of any format: upright, flat and bounded, in colours or as a gray face."""

import contextlib
import functools
import io
import warnings
from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 64_000_000
# A face in fewer pixels a side shows nothing that could be told.
MIN_SIDE = 16


class NoPicture(Exception):
    """Why bytes cannot be read as a picture."""


@functools.cache
def formats() -> tuple[str, ...]:
    """The formats that Pillow reads, but for PostScript: that is a program, run by Ghostscript."""
    Image.init()
    return tuple(name for name in Image.ID if name != "EPS")


def read_picture(
    data: bytes, size: int, accepted: Collection[str]
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A picture as uint8 [size, size] gray, by area averaging, and its own (width, height).

    The EXIF orientation is applied first; of an animation the first picture counts. `accepted` are
    names of Pillow's formats. Raises `NoPicture` where it is none of these, damaged, or of more
    than `MAX_PIXELS` or under `MIN_SIDE`, which its header tells before it is decoded.
    """
    with _failures():
        upright = _upright(data, accepted)
        # In floats: Pillow's averages of bytes are rounded twice, always upwards.
        gray = _flat(upright).convert("L").convert("F")
        face = gray.resize((size, size), Image.Resampling.BOX)
        return np.rint(np.asarray(face)).astype(np.uint8), upright.size


def read_photo(data: bytes, accepted: Collection[str]) -> NDArray[np.uint8]:
    """A picture as uint8 [H, W, 3] RGB; upright, bounded and refused as by `read_picture`."""
    with _failures():
        return np.asarray(_flat(_upright(data, accepted)).convert("RGB"))


def photo_of(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture that Pillow has opened as uint8 [H, W, 3] RGB, upright; raises `NoPicture`."""
    with _failures():
        _check_size(picture.size)
        return np.asarray(_flat(ImageOps.exif_transpose(picture)).convert("RGB"))


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What a picture has inside (an icon has) is decoded unseen: Pillow's bound holds there.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except NoPicture:
        raise
    except UnidentifiedImageError:
        raise NoPicture("not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise NoPicture(f"too large: {error}") from None
    except Exception as error:
        # Pillow's readers stumble over damaged files with whatever exception comes first.
        raise NoPicture(f"cannot be read: {error or type(error).__name__}") from None


def _upright(data: bytes, accepted: Collection[str]) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=tuple(accepted)) as picture:
        _check_size(picture.size)
        return ImageOps.exif_transpose(picture)


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise NoPicture(
            f"{width}x{height} pixels; at most {MAX_PIXELS:,} can be read: make it smaller"
        )
    if min(size) < MIN_SIDE:
        raise NoPicture(f"{width}x{height} pixels; a face has at least {MIN_SIDE} a side")


def _flat(picture: Image.Image) -> Image.Image:
    """Eight bits a channel, and white paper under what is transparent."""
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow would clip at 255 where the high byte is wanted.
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    paper = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(paper, picture.convert("RGBA"))
