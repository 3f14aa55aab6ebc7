"""The step combine, and the SavedModel and model.tflite that it writes."""

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
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.networks.inference import load_network, run_in_batches, softmax
from emotion_ai.networks.training import TrainingContext
from emotion_ai.registry.digest import CONTENT_PATH
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.serving_api.golden import SERVER_TOLERANCE, Golden
from emotion_ai.steps.combine.run import run as combine
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
    for kind, train in (
        ("keypoints", train_keypoints),
        ("expression", train_expression),
    ):
        out = folder / kind
        out.mkdir()
        outputs = {name: str(out / name) for name in ("model", "history", "curves")}
        train(faces[kind], TINY, TrainingContext(), outputs)
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
    # The loaded object is kept because it owns the variables.
    return SimpleNamespace(loaded=loaded, **loaded.signatures)


def encode(picture: Image.Image, image_format: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format)
    return buffer.getvalue()


def random_faces(size: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (3, size, size), dtype=np.uint8)


def test_encoded_signature_answers_like_the_pixel_signature(signatures: Any) -> None:
    images = random_faces(96)
    files = [encode(Image.fromarray(image), "png") for image in images]
    by_pixels = signatures.serving_default(images=tf.constant(images[..., None]))
    by_file = signatures.encoded(image_bytes=tf.constant(files))
    assert set(by_pixels) == set(by_file)
    for name, value in by_pixels.items():
        if value.dtype == tf.string:
            assert value.numpy().tolist() == by_file[name].numpy().tolist()
        else:
            np.testing.assert_allclose(value, by_file[name], atol=1e-5)


def test_predict_release_answers_like_the_networks(pair: tuple[str, str], exported: Path) -> None:
    images = random_faces(48)
    answers = predict_release(exported / "saved_model", images)
    np.testing.assert_allclose(
        answers["emotion_probabilities"],
        softmax(run_in_batches(load_network(pair[1]), images)),
        atol=1e-4,
    )
    doubled = images.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(
        answers["keypoints"], run_in_batches(load_network(pair[0]), doubled), atol=1e-3
    )
    assert tuple(answers["emotion_labels"][0]) == LABEL_SETS["fer7"]


def test_encoded_signature_resizes_by_area(signatures: Any) -> None:
    face = random_faces(96)[0]
    large = Image.fromarray(face.repeat(3, 0).repeat(3, 1))
    outputs = [
        signatures.encoded(image_bytes=tf.constant([encode(picture, "png")]))["keypoints"]
        for picture in (Image.fromarray(face), large)
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_encoded_signature_accepts_colour_modes(signatures: Any, mode: str) -> None:
    picture = Image.fromarray(random_faces(96)[0]).convert(mode)
    answer = signatures.encoded(image_bytes=tf.constant([encode(picture, "png")]))
    assert answer["keypoints"].shape == (1, 15, 2)


def test_encoded_signature_accepts_jpeg(signatures: Any) -> None:
    data = encode(Image.new("RGB", (200, 300), "gray"), "jpeg")
    assert signatures.encoded(image_bytes=tf.constant([data]))["emotion"].shape == (1,)


def png_header(width: int, height: int) -> bytes:
    """A PNG of its signature and the IHDR chunk alone."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"not an image", b"\x89PNG\r\n\x1a\n", png_header(30_000, 30_000), png_header(4_097, 1)],
    ids=["empty", "text", "truncated", "30000x30000", "4097x1"],
)
def test_encoded_signature_rejects_invalid_images(signatures: Any, data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures.encoded(image_bytes=tf.constant([data]))


def test_lite_model_answers_like_the_saved_model(exported: Path, signatures: Any) -> None:
    model = LiteModel((exported / "saved_model" / LITE_PATH).read_bytes())
    # More than two batches of the largest size, and some that do not fill one.
    images = np.concatenate([random_faces(96)] * 13)[..., None]
    answers, expected = model.run(images), signatures.serving_default(images=tf.constant(images))
    report = json.loads((exported / "saved_model" / CONTENT_PATH).read_text())["lite"]
    assert set(answers) == set(expected)
    for name in ("keypoints", "emotion_probabilities"):
        # Images of noise differ more than the golden faces do.
        allowed = max(1e-3, 10 * report["largest_difference"])
        np.testing.assert_allclose(answers[name], expected[name], atol=allowed)
    assert answers["emotion_labels"].tolist() == expected["emotion_labels"].numpy().tolist()
    empty = model.run(images[:0])
    assert {n: (a.shape[1:], a.dtype) for n, a in empty.items()} == {
        n: (a.shape[1:], a.dtype) for n, a in answers.items()
    }


def test_write_lite_measures_the_loss_on_validation_and_test(exported: Path) -> None:
    report = json.loads((exported / "saved_model" / CONTENT_PATH).read_text())["lite"]
    assert report["weights"] in ("int8", "float32")
    assert report["expression"]["rows"] == report["keypoints"]["rows"] == 28 + 14
    accuracy_loss = report["expression"]["accuracy_saved_model"] - report["expression"]["accuracy"]
    rmse_increase = report["keypoints"]["rmse_px"] - report["keypoints"]["rmse_px_saved_model"]
    assert accuracy_loss <= MAX_LOSS["accuracy"]
    assert rmse_increase <= MAX_LOSS["rmse_px"]


def test_write_lite_without_faces_keeps_float32_weights(
    exported: Path, signatures: Any, tmp_path: Path
) -> None:
    copy = str(shutil.copytree(exported / "saved_model", tmp_path / "copy"))
    images = random_faces(96)[..., None]

    def predict(images: np.ndarray) -> dict[str, np.ndarray]:
        outputs = signatures.serving_default(images=tf.constant(images))
        return {name: value.numpy() for name, value in outputs.items()}

    report = write_lite(copy, predict, Golden(images, **predict(images)), {})
    assert report["weights"] == "float32"
    assert report["largest_difference"] <= SERVER_TOLERANCE


def test_combine_is_deterministic(
    pair: tuple[str, str], faces: dict[str, str], exported: Path, tmp_path: Path
) -> None:
    combine(*pair, faces, str(tmp_path / "again"), str(tmp_path / "golden"))
    first, second = (
        json.loads((folder / "assets.extra" / "content.json").read_text())
        for folder in (exported / "saved_model", tmp_path / "again")
    )
    assert first == second
    assert first["signatures"]["serving_default"]["inputs"]["images"]["shape"] == [None, 96, 96, 1]
    for outputs in (
        first["signatures"][name]["outputs"] for name in ("serving_default", "encoded")
    ):
        assert all(spec["shape"][0] is None for spec in outputs.values())
