"""Releases that load and are wrong: one is slow, one kills its server after some requests."""

import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from support.tiny_saved_model import TinyModel, publish_saved_model, tiny_outputs

# Requests that the crashing model answers.
CRASH_AFTER = 50


class SlowTinyModel(TinyModel):
    """A `TinyModel` that computes for some hundred milliseconds before it answers."""

    @tf.function(input_signature=[tf.TensorSpec([None, 96, 96, 1], tf.uint8, "images")])
    def from_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        matrix = tf.eye(256) + 0.0 * tf.reduce_mean(tf.cast(images, tf.float32))
        for _ in tf.range(300):
            matrix = tf.matmul(matrix, matrix)
        one = tf.linalg.trace(matrix) / 256.0
        return tiny_outputs(images, self.shift * one)


class CrashingTinyModel(TinyModel):
    """A `TinyModel` that ends its process at a request."""

    def __init__(self, shift: float) -> None:
        super().__init__(shift)
        # A table, because the server keeps variables as they were saved.
        self.requests = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, 0)

    @tf.function(input_signature=[tf.TensorSpec([None, 96, 96, 1], tf.uint8, "images")])
    def from_images(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        key = tf.constant(1, tf.int64)
        count = self.requests.lookup(key) + 1
        self.requests.insert(key, count)

        def crash() -> tf.Tensor:
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="the test's crash")]):
                return tf.constant(0.0)

        zero = tf.cond(count > CRASH_AFTER, crash, lambda: tf.constant(0.0))
        return tiny_outputs(images, self.shift + zero)


def publish_bad_release(registry: Path, scratch: Path, kind: Any, shift: float) -> int:
    """Publish a release of one of the models above, with right golden answers."""
    model = kind(shift)
    folder = Path(tempfile.mkdtemp(dir=scratch))
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.from_images})
    return publish_saved_model(registry, folder, shift, f"{kind.__name__} {shift}")
