"""The combined SavedModel: what its two signatures answer, and what they refuse."""

import io
import json
import shutil
import struct
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from emotion_ai.export.inference import predict_release
from emotion_ai.export.lite import MAX_LOSS, write_lite
from emotion_ai.export.lite_model import LiteModel
from emotion_ai.serving_api.golden import SERVER_TOLERANCE, Golden
from emotion_ai.steps.combine.run import run as combine
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.networks.inference import predict_expression, predict_keypoints
from emotion_ai.networks.training import TrainingContext
from emotion_ai.registry.digest import CONTENT_PATH
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.steps.train_expression.run import run as train_expression
from emotion_ai.steps.train_keypoints.run import run as train_keypoints

from support.prepared_faces import write_faces

TINY = {"epochs": 1, "batch_size": 32, "widths": [8, 8]}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("faces")
    return {kind: str(write_faces(folder / kind, kind)) for kind in ("keypoints", "expression")}


@pytest.fixture(scope="module")
def pair(faces: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    models = []
    for kind, fit in (
        ("keypoints", train_keypoints),
        ("expression", train_expression),
    ):
        out = folder / kind
        out.mkdir()
        outputs = {name: str(out / name) for name in ("model", "history", "curves")}
        fit(faces[kind], TINY, TrainingContext(), outputs)
        models.append(outputs["model"])
    return models[0], models[1]


@pytest.fixture(scope="module")
def exported(
    pair: tuple[str, str], faces: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    combine(*pair, faces, str(folder / "saved_model"), str(folder / "golden"))
    return folder


@pytest.fixture(scope="module")
def signatures(exported: Path) -> Any:
    loaded = tf.saved_model.load(str(exported / "saved_model"))
    # Its variables live as long as the loaded object does.
    return SimpleNamespace(loaded=loaded, **loaded.signatures)


def encoded(picture: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def random_faces(size: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (3, size, size), dtype=np.uint8)


def test_a_png_of_a_face_is_answered_as_its_pixels_are(signatures: Any) -> None:
    images = random_faces(96)
    files = [encoded(Image.fromarray(image), "png") for image in images]
    by_pixels = signatures.serving_default(images=tf.constant(images[..., None]))
    by_file = signatures.encoded(image_bytes=tf.constant(files))
    assert set(by_pixels) == set(by_file)
    for name, value in by_pixels.items():
        if value.dtype == tf.string:
            assert value.numpy().tolist() == by_file[name].numpy().tolist()
        else:
            np.testing.assert_allclose(value, by_file[name], atol=1e-5)


def test_a_doubled_face_reaches_the_expression_network_unchanged(
    pair: tuple[str, str], exported: Path
) -> None:
    images = random_faces(48)
    answers = predict_release(exported / "saved_model", images)
    np.testing.assert_allclose(
        answers["emotion_probabilities"], predict_expression(pair[1], images), atol=1e-4
    )
    doubled = images.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(answers["keypoints"], predict_keypoints(pair[0], doubled), atol=1e-3)
    assert tuple(answers["emotion_labels"][0]) == LABEL_SETS["fer7"]


def test_a_large_photograph_is_averaged_by_area(signatures: Any) -> None:
    face = random_faces(96)[0]
    large = Image.fromarray(face.repeat(3, 0).repeat(3, 1))
    outputs = [
        signatures.encoded(image_bytes=tf.constant([encoded(picture, "png")]))["keypoints"]
        for picture in (Image.fromarray(face), large)
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_colours_and_transparency_are_taken(signatures: Any, mode: str) -> None:
    picture = Image.fromarray(random_faces(96)[0]).convert(mode)
    answer = signatures.encoded(image_bytes=tf.constant([encoded(picture, "png")]))
    assert answer["keypoints"].shape == (1, 15, 2)


def test_jpeg_is_taken(signatures: Any) -> None:
    data = encoded(Image.new("RGB", (200, 300), "gray"), "jpeg")
    assert signatures.encoded(image_bytes=tf.constant([data]))["emotion"].shape == (1,)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", b"\x89PNG\r\n\x1a\n", png_header(30_000, 30_000), png_header(4_097, 1)],
    ids=["empty", "text", "truncated", "30000x30000", "4097x1"],
)
def test_what_is_no_face_is_an_invalid_argument(signatures: Any, data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures.encoded(image_bytes=tf.constant([data]))


def test_what_is_released_for_litert_answers_as_the_savedmodel_does(
    exported: Path, signatures: Any
) -> None:
    model = LiteModel((exported / "saved_model" / LITE_PATH).read_bytes())
    # More than two batches of the largest size, and some that do not fill one.
    images = np.concatenate([random_faces(96)] * 13)[..., None]
    answers, expected = model.run(images), signatures.serving_default(images=tf.constant(images))
    told = json.loads((exported / "saved_model" / CONTENT_PATH).read_text())["lite"]
    assert set(answers) == set(expected)
    for name in ("keypoints", "emotion_probabilities"):
        # Noise is further from the golden faces than any face is.
        allowed = max(1e-3, 10 * told["largest_difference"])
        np.testing.assert_allclose(answers[name], expected[name], atol=allowed)
    assert answers["emotion_labels"].tolist() == expected["emotion_labels"].numpy().tolist()
    nothing = model.run(images[:0])
    assert {n: (a.shape[1:], a.dtype) for n, a in nothing.items()} == {
        n: (a.shape[1:], a.dtype) for n, a in answers.items()
    }


def test_what_eight_bits_cost_is_measured_on_faces_that_were_not_trained_on(exported: Path) -> None:
    told = json.loads((exported / "saved_model" / CONTENT_PATH).read_text())["lite"]
    assert told["weights"] in ("int8", "float32")
    assert told["expression"]["rows"] == told["keypoints"]["rows"] == 28 + 14
    loss = told["expression"]["accuracy_saved_model"] - told["expression"]["accuracy"]
    more = told["keypoints"]["rmse_px"] - told["keypoints"]["rmse_px_saved_model"]
    assert loss <= MAX_LOSS["accuracy"]
    assert more <= MAX_LOSS["rmse_px"]


def test_without_faces_to_measure_on_the_weights_stay_float32(
    exported: Path, signatures: Any, tmp_path: Path
) -> None:
    copy = str(shutil.copytree(exported / "saved_model", tmp_path / "copy"))
    images = random_faces(96)[..., None]

    def ask(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = signatures.serving_default(images=tf.constant(images))
        return {name: value.numpy() for name, value in outputs.items()}

    told = write_lite(copy, ask, Golden(images, **ask(images)), {})
    assert told["weights"] == "float32"
    assert told["largest_difference"] <= SERVER_TOLERANCE


def test_content_is_the_same_for_the_same_pair(
    pair: tuple[str, str], faces: dict[str, str], exported: Path, tmp_path: Path
) -> None:
    combine(*pair, faces, str(tmp_path / "again"), str(tmp_path / "golden"))
    one, other = (
        json.loads((folder / "assets.extra" / "content.json").read_text())
        for folder in (exported / "saved_model", tmp_path / "again")
    )
    assert one == other
    assert one["signatures"]["serving_default"]["inputs"]["images"]["shape"] == [None, 96, 96, 1]
    for outputs in (one["signatures"][name]["outputs"] for name in ("serving_default", "encoded")):
        assert all(spec["shape"][0] is None for spec in outputs.values())
