"""A SavedModel with emotion_ai's two signatures and a single weight, and releases of it.

Its outputs depend on the image's brightness (0 to 1) and on `shift`, which differs between
releases: every keypoint is at (10 + brightness + shift, 20), and the emotion is the seventh of the
range that the brightness is in.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.registry.digest import file_digest
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import WARMUP_PATH, GateDecision, ReleaseInfo
from emotion_ai.serving_api.messages import PredictionLog
from emotion_ai.serving_api.tensors import fill_tensor
from emotion_ai.serving_api.warmup import write_warmup

LABELS = LABEL_SETS["fer7"]


def tiny_outputs(images: tf.Tensor, shift: tf.Tensor) -> dict[str, tf.Tensor]:
    """The outputs for images with a shift; see the module's docstring."""
    brightness = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]) / 255.0
    x = 10.0 + brightness + shift
    points = tf.stack([x, tf.fill(tf.shape(x), 20.0)], axis=-1)
    centres = (tf.range(7, dtype=tf.float32) + 0.5) / 7.0
    probabilities = tf.nn.softmax(-100.0 * tf.square(brightness[:, None] - centres))
    labels = tf.constant(LABELS)
    return {
        "keypoints": tf.tile(points[:, None, :], [1, 15, 1]),
        "emotion_probabilities": probabilities,
        "emotion": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
        "emotion_labels": tf.tile(labels[None], [tf.shape(probabilities)[0], 1]),
    }


class TinyModel(tf.Module):
    """The graph of both signatures."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = tf.Variable(shift, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 96, 96, 1], tf.uint8, "images")])
    def from_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return tiny_outputs(images, self.shift)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def from_encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode(data: tf.Tensor) -> tf.Tensor:
            picture = tf.io.decode_image(data, channels=1, expand_animations=False)
            picture.set_shape([None, None, 1])
            return tf.cast(tf.round(tf.image.resize(picture, [96, 96], method="area")), tf.uint8)

        return self.from_images(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))


def write_saved_model(path: Path, shift: float = 0.0) -> Path:
    """Export a `TinyModel` to a new folder; returns the folder."""
    model = TinyModel(shift)
    signatures = {"serving_default": model.from_images, "encoded": model.from_encoded}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


class SlowModel(tf.Module):
    """A graph that prints "under way" to standard error and then takes about a second."""

    @tf.function(input_signature=[tf.TensorSpec([None, 96, 96, 1], tf.uint8, "images")])
    def from_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.print("under way")
        matrix = tf.eye(256)
        for _ in tf.range(3000):
            matrix = tf.matmul(matrix, matrix)
        steps = 3000 * tf.cast(tf.linalg.trace(matrix) / 256.0, tf.int32)
        return {"steps": tf.repeat(steps, tf.shape(images)[0])}


def write_slow_model(path: Path) -> None:
    """Export a `SlowModel` to a new folder."""
    model = SlowModel()
    tf.saved_model.save(model, str(path), signatures=model.from_images)


def prediction_logs(shift: float, images: NDArray[np.uint8]) -> list[Any]:
    """Return a PredictionLog for each image, with the outputs of a model with this shift."""
    model = TinyModel(shift)
    logs = []
    for image in images:
        log = PredictionLog()
        predicted = log.predict_log
        predicted.request.model_spec.name = "emotion_ai"
        fill_tensor(predicted.request.inputs["images"], image[None])
        for name, tensor in model.from_images(image[None]).items():
            fill_tensor(predicted.response.outputs[name], np.asarray(tensor.numpy()))
        logs.append(log)
    return logs


def gray_faces(count: int) -> NDArray[np.uint8]:
    """Return uniform faces from dark to bright, uint8 [count, 96, 96, 1]."""
    levels = np.linspace(10, 245, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 96, 96, 1)).copy()


def publish_tiny_release(
    registry: str | Path,
    scratch: Path,
    shift: float,
    golden_shift: float,
    lite: dict[str, Any] | None = None,
) -> int:
    """Publish a release of a `TinyModel`.

    Args:
        registry: The registry's path.
        scratch: An existing folder for temporary files.
        shift: The model's shift.
        golden_shift: The shift of the golden answers.
        lite: What release.json says about a model.tflite.

    Returns:
        The version.
    """
    model = write_saved_model(Path(tempfile.mkdtemp(dir=scratch)), shift)
    return publish_saved_model(registry, model, golden_shift, f"{shift} {golden_shift}", lite)


def publish_saved_model(
    registry: str | Path,
    model: Path,
    golden_shift: float,
    digest: str,
    lite: dict[str, Any] | None = None,
) -> int:
    """Publish a SavedModel with the golden answers of a `TinyModel`.

    Args:
        registry: The registry's path.
        model: The SavedModel's folder.
        golden_shift: The shift of the golden answers.
        digest: The content digest.
        lite: What release.json says about a model.tflite.

    Returns:
        The version.
    """
    write_warmup(str(model / WARMUP_PATH), prediction_logs(golden_shift, gray_faces(3)))
    files = {str(p.relative_to(model)): p for p in model.rglob("*") if p.is_file()}
    draft = ReleaseInfo(
        content_digest=digest,
        files={name: file_digest(path) for name, path in files.items()},
        parent=None,
        data={},
        metrics={},
        gate=GateDecision(outcome="accepted"),
        revision="test",
        run_id="run-1",
        created="2026-01-01T00:00:00+00:00",
        label_set="fer7",
        labels=LABELS,
        signatures={},
        packages={},
        lite=lite or {},
    )
    return publish(str(registry), files, draft)[0]
