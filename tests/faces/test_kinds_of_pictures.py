"""Pictures as people have them: deep ones, damaged metadata, turned, CMYK, formats not read."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from emotion_ai.faces.picture_files import (
    PictureError,
    formats,
    read_photo,
    read_picture,
    rgb_array,
)

GRAY = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (32, 48, 3), np.uint8)


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ((GRAY / 255).astype(np.float32), "TIFF"),
        (GRAY.astype(np.float32), "TIFF"),
        ((GRAY * 257.0).astype(np.float32), "TIFF"),
        (GRAY.astype(np.int32), "TIFF"),
        (GRAY.astype(np.int32) * 257, "TIFF"),
        (GRAY.astype(np.uint16) * 257, "TIFF"),
        (GRAY.astype(np.uint16) * 257, "PNG"),
        (GRAY.astype(np.int32) * 257, "PPM"),
    ],
)
def test_deep_pictures_are_read_by_the_range_of_their_values(values: np.ndarray, form: str) -> None:
    data = encode(Image.fromarray(values), form)
    face, _ = read_picture(data, 48, formats())
    assert np.array_equal(face, GRAY)
    assert np.array_equal(read_photo(data, formats())[..., 1], GRAY)
    assert np.array_equal(rgb_array(Image.fromarray(values))[..., 2], GRAY)


def test_a_dark_picture_of_16_bits_stays_dark() -> None:
    for form in ("TIFF", "PNG", "PPM"):
        dark = Image.fromarray(np.full((48, 48), 200, np.uint16))
        data = encode(dark.convert("I") if form == "PPM" else dark, form)
        face, _ = read_picture(data, 48, formats())
        assert (face == 0).all(), form


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.float32(-1), "from -1 to "),
        (np.float32(1e9), "to 1e+09; expected 0 to 1, 0 to 255 or 0 to 65535: save it with 8 bits"),
        (np.float32(np.nan), "32 bits a pixel from nan to nan"),
        (np.int32(-5), "from -5 to 255; expected 0 to 255 or 0 to 65535"),
        (np.int32(2**31 - 1), "to 2.14748e+09; expected 0 to 255"),
    ],
)
def test_deep_pictures_without_a_known_range_are_refused(value: Any, message: str) -> None:
    values = GRAY.astype(value.dtype)
    values[0, 0] = value
    for read in (
        lambda: read_picture(encode(Image.fromarray(values), "TIFF"), 48, formats()),
        lambda: rgb_array(Image.fromarray(values)),
    ):
        with pytest.raises(PictureError) as error:
            read()
        assert message in str(error.value)


def photo(form: str, orientation: int = 6, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Maker"
    return encode(Image.fromarray(COLOUR), form, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_metadata_says(form: str, orientation: int) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    data = photo(form, orientation, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert np.array_equal(read_photo(data, formats()), np.asarray(expected))


def test_orientation_that_means_nothing_turns_nothing() -> None:
    for orientation in (0, 9, 65_535):
        assert np.array_equal(read_photo(photo("PNG", orientation), formats()), COLOUR)


def damage(data: bytes, marker: bytes, offset: int, new: bytes) -> bytes:
    start = data.index(marker) + offset
    return data[:start] + new + data[start + len(new) :]


def test_damaged_metadata_leaves_whole_pixels() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "taken in spring")
    info.add_text("Long", "x" * 500, zip=True)
    png = photo("PNG", 1, pnginfo=info, icc_profile=b"profile" * 20)
    for marker in (b"tEXt", b"zTXt", b"eXIf", b"iCCP"):
        damaged = damage(png, marker, 6, b"\xff\0\xff")
        assert np.array_equal(read_photo(damaged, formats()), COLOUR), marker
    webp = photo("WEBP", 1, lossless=True)
    for new in (b"XX", b"II\0\0"):
        damaged = damage(webp, b"MM\0*", 0, new)
        assert np.array_equal(read_photo(damaged, formats()), COLOUR), new
    jpeg = photo("JPEG", 1, quality=95, comment=b"taken in spring", icc_profile=b"profile" * 20)
    pixels = read_photo(jpeg, formats())
    for marker, new in (
        (b"MM\0*", b"XXXX"),
        (b"MM\0*", b"MM\0*\xff\xff\xff\xff"),
        (b"ICC_", b"\0" * 30),
    ):
        assert np.array_equal(read_photo(damage(jpeg, marker, 0, new), formats()), pixels)


def test_a_picture_keeps_its_turn_and_transparency_beside_damaged_text() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "taken in spring")
    damaged = damage(photo("PNG", 6, pnginfo=info), b"tEXt", 6, b"\xff\0\xff")
    assert np.array_equal(read_photo(damaged, formats()), np.rot90(COLOUR, -1))
    palette = Image.fromarray(GRAY).convert("P")
    clear = encode(palette, "PNG", transparency=int(np.asarray(palette)[0, 0]), pnginfo=info)
    damaged = damage(clear, b"tEXt", 6, b"\xff\0\xff")
    assert read_photo(damaged, formats())[0, 0].tolist() == [255, 255, 255]


def test_damaged_pixels_are_an_error() -> None:
    png = photo("PNG")
    start = png.index(b"IDAT")
    length = int.from_bytes(png[start - 4 : start], "big")
    body = b"IDAT" + bytes(length)
    broken = png[:start] + body + zlib.crc32(body).to_bytes(4, "big") + png[start + length + 8 :]
    with pytest.raises(PictureError, match="cannot be read"):
        read_photo(broken, formats())


def test_cmyk_is_read_as_colours() -> None:
    picture = Image.new("RGB", (48, 48), (200, 40, 90))
    pixels = read_photo(encode(picture.convert("CMYK"), "JPEG", quality=100), formats())
    assert np.abs(pixels.astype(int) - (200, 40, 90)).max() <= 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "a HEIC photo, .* save it as JPEG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "a JPEG XL, .* save it as JPEG"),
        (b"\xff\x0a" + bytes(50), "a JPEG XL"),
        (b"II*\0" + bytes(50), "a TIFF or raw photo, damaged or of a kind that is not read"),
        (b"%PDF-1.7" + bytes(50), "^not a picture$"),
    ],
)
def test_formats_that_are_not_read_are_named(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        read_photo(data, formats())
