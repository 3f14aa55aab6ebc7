"""Combine both networks into one SavedModel.

Reads two Keras models and the faces they were trained on; writes a SavedModel with two signatures,
`model.tflite` and `assets.extra/content.json` beside it, and golden answers. Fails when the
exported graph's outputs differ from the two networks' by more than 1e-4.
"""

import importlib.metadata
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.export.batch_norm import fold_batch_norm
from emotion_ai.export.face_model import FaceModel
from emotion_ai.export.lite import Golden, write_lite
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.networks.inference import load_network
from emotion_ai.networks.weights import WEIGHTS_FILE, NetworkSpec, read_weights, release_path
from emotion_ai.registry.digest import CONTENT_PATH, ModelContent, weights_sha256
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.storage.atomic_files import remove_on_failure

TOLERANCE = 1e-4
_GOLDEN_FACES = 8
_GOLDEN_SEED = 96
_PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy")


class Pair(NamedTuple):
    """The two Keras networks."""

    keypoints: Any
    expression: Any


def export_pair(
    keypoint_model: str,
    expression_model: str,
    faces: Mapping[str, str],
    saved_model: str,
    golden: str,
) -> None:
    """Write the SavedModel of both networks, and what it answers about eight drawn faces.

    `faces` are prepared faces by kind, "keypoints" and "expression": `model.tflite` is measured
    on what was not trained on. The golden faces are drawn, because they travel with every release
    and nobody's picture should.
    `golden` is an .npz of images uint8 [8, 96, 96, 1] and the four outputs by their names.
    """
    packed = [Path(model, WEIGHTS_FILE) for model in (keypoint_model, expression_model)]
    trained = Pair(load_network(keypoint_model), load_network(expression_model))
    images = next(draw_faces(_GOLDEN_FACES, _GOLDEN_SEED)).images[..., None]
    with remove_on_failure(saved_model, golden):
        described = [read_weights(str(path))[0] for path in packed]
        exported, content = save_combined(trained, described, saved_model)
        ask = partial(_ask, exported["serving_default"])
        answers = ask(images)
        _check_parity(answers, images, trained)
        lite = write_lite(saved_model, ask, Golden(images, answers), faces)
        write_content(saved_model, content.model_copy(update={"lite": lite}))
        for about, path in zip(described, packed, strict=True):
            target = storage.join(saved_model, release_path(about.kind))
            storage.write_bytes(target, path.read_bytes())
        answered = io.BytesIO()
        arrays: dict[str, Any] = {"images": images, **answers}
        np.savez(answered, **arrays)
        storage.write_bytes(golden, answered.getvalue())


def save_combined(
    trained: Pair, described: Sequence[NetworkSpec], saved_model: str
) -> tuple[Any, ModelContent]:
    """Write both networks, batch normalisation folded, as one SavedModel.

    `described` are the keypoint and the expression network. Returns the signatures of what was
    written, loaded from there, and what is to be told about it.
    """
    named = described[1]
    pair = Pair(fold_batch_norm(trained.keypoints), fold_batch_norm(trained.expression))
    model = FaceModel(pair.keypoints, pair.expression, named.labels)
    signatures = {"serving_default": model.serving_default, "encoded": model.encoded}
    try:
        tf.saved_model.save(model, saved_model, signatures=signatures)
    except (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError) as error:
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]
        raise Unavailable(f"{saved_model}: cannot be written: {reason}") from None
    exported = tf.saved_model.load(saved_model).signatures
    content = ModelContent(
        label_set=named.label_set,
        labels=named.labels,
        signatures=_described(exported),
        weights_sha256=weights_sha256(_weights(pair)),
        packages=_packages(),
        training={about.kind: about.training for about in described},
    )
    return exported, content


def write_content(saved_model: str, content: ModelContent) -> None:
    """Write a SavedModel's content.json."""
    text = content.model_dump_json(indent=1) + "\n"
    storage.write_bytes(storage.join(saved_model, CONTENT_PATH), text.encode())


def _ask(exported: Any, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    outputs = exported(images=tf.constant(images))
    answers = {name: value.numpy() for name, value in outputs.items()}
    for name in ("emotion", "emotion_labels"):
        answers[name] = answers[name].astype(str)
    return answers


def _check_parity(answers: dict[str, NDArray], images: NDArray[np.uint8], trained: Pair) -> None:
    keypoints, expression = trained
    pixels = images.astype(np.float32)
    halved = pixels.reshape(len(images), FRAME // 2, 2, FRAME // 2, 2, 1).mean((2, 4))
    by_size = {FRAME: pixels, FRAME // 2: halved}
    points = keypoints.predict_on_batch(by_size[keypoints.input_shape[1]])
    logits = expression.predict_on_batch(by_size[expression.input_shape[1]])
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    for name, expected in (("keypoints", points), ("emotion_probabilities", probabilities)):
        difference = float(np.abs(answers[name] - expected).max())
        if not difference <= TOLERANCE:
            raise Unavailable(
                f"combine: {name} of the SavedModel differ from the network's by {difference:.2g}; "
                f"expected at most {TOLERANCE:.0e}"
            )


def _weights(pair: Pair) -> Iterator[tuple[str, NDArray]]:
    for half, network in pair._asdict().items():
        for weight in network.weights:
            yield f"{half}/{weight.path}", keras.ops.convert_to_numpy(weight)


def _described(signatures: Mapping[str, Any]) -> dict[str, Any]:
    def tensors(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in sorted(specs.items())
        }

    return {
        name: {
            "inputs": tensors(function.structured_input_signature[1]),
            "outputs": tensors(function.structured_outputs),
        }
        for name, function in sorted(signatures.items())
    }


def _packages() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
