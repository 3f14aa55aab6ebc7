"""A SavedModel with emotion_ai's two signatures and next to no weights, and releases of it.

Its answers depend on the brightness of the picture and on `shift`, which tells one release from
another: every keypoint lies at (10 + brightness + shift, 20), and the emotion is the brightness in
sevenths.
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
from emotion_ai.serving_api.warmup import write_golden

LABELS = LABEL_SETS["fer7"]


class TinyModel(tf.Module):
    """The graph of both signatures."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = tf.Variable(shift, trainable=False)

    @tf.function(input_signature=[tf.TensorSpec([None, 96, 96, 1], tf.uint8, "images")])
    def from_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        brightness = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]) / 255.0
        x = 10.0 + brightness + self.shift
        points = tf.stack([x, tf.fill(tf.shape(x), 20.0)], axis=-1)
        centres = (tf.range(7, dtype=tf.float32) + 0.5) / 7.0
        shares = tf.nn.softmax(-100.0 * tf.square(brightness[:, None] - centres))
        labels = tf.constant(LABELS)
        return {
            "keypoints": tf.tile(points[:, None, :], [1, 15, 1]),
            "emotion_probabilities": shares,
            "emotion": tf.gather(labels, tf.argmax(shares, axis=-1)),
            "emotion_labels": tf.tile(labels[None], [tf.shape(shares)[0], 1]),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def from_encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        def decode(data: tf.Tensor) -> tf.Tensor:
            picture = tf.io.decode_image(data, channels=1, expand_animations=False)
            picture.set_shape([None, None, 1])
            return tf.cast(tf.round(tf.image.resize(picture, [96, 96], method="area")), tf.uint8)

        return self.from_images(tf.map_fn(decode, image_bytes, fn_output_signature=tf.uint8))


def write_saved_model(path: Path, shift: float = 0.0) -> Path:
    """Export the model to a new folder."""
    model = TinyModel(shift)
    signatures = {"serving_default": model.from_images, "encoded": model.from_encoded}
    tf.saved_model.save(model, str(path), signatures=signatures)
    return path


class SlowModel(tf.Module):
    """A graph that says "under way" on standard error and then takes a second or so."""

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


def golden_logs(shift: float, images: NDArray[np.uint8]) -> list[Any]:
    """A PredictionLog for each image, with what a model of this shift answers to it."""
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


def faces(count: int) -> NDArray[np.uint8]:
    """uint8 [count, 96, 96, 1], from dark to bright."""
    levels = np.linspace(10, 245, count).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 96, 96, 1)).copy()


def release(
    registry: str | Path,
    scratch: Path,
    shift: float,
    golden_shift: float,
    lite: dict[str, Any] | None = None,
) -> int:
    """Publish a release that answers with `shift` and whose golden answers have `golden_shift`.

    `lite` is what it tells about a model.tflite.
    """
    model = write_saved_model(Path(tempfile.mkdtemp(dir=scratch)), shift)
    write_golden(str(model / WARMUP_PATH), golden_logs(golden_shift, faces(3)))
    files = {str(p.relative_to(model)): p for p in model.rglob("*") if p.is_file()}
    draft = ReleaseInfo(
        content_digest=f"{shift} {golden_shift}",
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
