"""The signature `encoded` reads picture files as the client does: turned, CMYK, deep, damaged."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from emotion_ai.export.face_model import decode_face
from emotion_ai.faces.picture_files import formats, read_picture
from emotion_ai.server.graph_check import check_graph

from support.untrained_saved_model import write_face_model

COLOUR = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
# Twice and three times the model's side: averages of whole pixels. Smooth, for what JPEG loses.
PICTURE = Image.fromarray(COLOUR).resize((288, 192), Image.Resampling.BICUBIC)
GRAY = PICTURE.convert("L")
# Of the shades of one picture; the decoders and their weights of colours round differently.
TOLERANCE = 4

_decode = tf.function(decode_face, input_signature=[tf.TensorSpec([], tf.string)])


def decode(data: bytes) -> np.ndarray:
    """The face that the graph makes of a file."""
    return _decode(tf.constant(data)).numpy()[..., 0].astype(int)


def assert_as_the_client_reads_it(data: bytes) -> None:
    read, _ = read_picture(data, 96, formats())
    assert np.abs(decode(data) - read).max() <= TOLERANCE


def encode(picture: Image.Image, form: str, exif: bytes = b"", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def exif(orientation: int, order: str = "MM") -> bytes:
    """An EXIF structure with the orientation among other tags."""
    tags = Image.Exif()
    tags.endian = "<" if order == "II" else ">"
    tags[ExifTags.Base.Make] = "Maker"
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Software] = "1.0"
    content = tags.tobytes()
    assert content[6:8] == order.encode()
    return content


@pytest.mark.parametrize("order", ["MM", "II"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_turned_as_their_metadata_says(orientation: int, form: str, order: str) -> None:
    data = encode(PICTURE, form, exif(orientation, order))
    assert_as_the_client_reads_it(data)
    # Not as they lie, which the client's own reader could hide.
    plain = decode(encode(PICTURE, form))
    turned = np.abs(decode(data) - plain).max() > 10 * TOLERANCE
    assert turned == (orientation != 1)


def test_metadata_may_come_behind_a_profile() -> None:
    data = encode(PICTURE, "JPEG", icc_profile=bytes(100_000))
    start = data.index(b"\xff\xdb")
    segment = b"Exif\0\0" + exif(6)[6:]
    segment = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    data = data[:start] + segment + data[start:]
    assert_as_the_client_reads_it(data)
    assert np.abs(decode(data) - decode(encode(PICTURE, "JPEG"))).max() > 10 * TOLERANCE


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_orientations_that_mean_nothing_turn_nothing(orientation: int) -> None:
    data = encode(PICTURE, "JPEG", exif(orientation))
    assert np.array_equal(decode(data), decode(encode(PICTURE, "JPEG")))


@pytest.mark.parametrize(
    "data",
    [
        encode(PICTURE.convert("CMYK"), "JPEG", quality=95),
        encode(PICTURE.convert("CMYK"), "JPEG", exif(6), quality=95),
        encode(GRAY, "JPEG"),
        encode(PICTURE, "JPEG", progressive=True),
        encode(Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 257), "PNG"),
        encode(PICTURE.convert("P"), "PNG", exif(8)),
        encode(GRAY.convert("1"), "PNG"),
    ],
    ids=["CMYK", "CMYK turned", "gray", "progressive", "16 bits", "palette turned", "1 bit"],
)
def test_kinds_of_files_are_read_as_the_client_reads_them(data: bytes) -> None:
    assert_as_the_client_reads_it(data)


@settings(max_examples=50)
@given(st.binary(max_size=80), st.integers(0, 60), st.sampled_from(["JPEG", "PNG"]))
def test_damaged_metadata_leaves_whole_pixels(noise: bytes, start: int, form: str) -> None:
    content = exif(1)
    start = min(start, len(content) - 6)
    damaged = content[: 6 + start] + noise + content[6 + start + len(noise) :]
    face = decode(encode(GRAY, form, damaged))
    plain = decode(encode(GRAY, form))
    # Noise may say a turn, too.
    turns = [np.rot90(side, k) for side in (plain, plain[:, ::-1]) for k in range(4)]
    assert any(np.array_equal(face, turn) for turn in turns)


def test_an_exported_graph_turns_and_is_within_what_a_server_loads(tmp_path: Path) -> None:
    folder = write_face_model(tmp_path / "model")
    loaded = tf.saved_model.load(str(folder))
    encoded = loaded.signatures["encoded"]
    turned = encode(PICTURE, "PNG", exif(6))
    upright = encode(PICTURE.transpose(Image.Transpose.ROTATE_270), "PNG")
    plain = encode(PICTURE, "PNG")
    answers = encoded(image_bytes=tf.constant([turned, upright, plain]))["keypoints"].numpy()
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])
    definition = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    check_graph(definition.meta_graphs[0])
