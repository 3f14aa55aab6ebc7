"""The combined graph: two networks behind two signatures, from raw pixels or from picture files."""

from typing import Any

import tensorflow as tf

from emotion_ai.faces.keypoints import FRAME, NAMES

# A small file can unpack to gigabytes, and in production no code of ours stands before the graph.
MAX_SIDE = 4_096

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


class FaceModel(tf.Module):
    """Keypoints and emotion of a face.

    Both signatures return, batch first, keypoints float32 [n, 15, 2], emotion_probabilities
    float32 [n, k], emotion string [n] and emotion_labels string [n, k].
    """

    def __init__(self, keypoints: Any, expression: Any, labels: tuple[str, ...]) -> None:
        super().__init__()
        # The TensorFlow variables, and not the Keras networks that wrap them: found through both,
        # each would be exported twice, and TensorFlow Serving, which restores by the saver alone,
        # would restore the one that no signature reads.
        self.weights = [weight.value for net in (keypoints, expression) for weight in net.weights]
        self._networks = lambda: (keypoints, expression)
        self.labels = labels

    @tf.function(input_signature=[tf.TensorSpec([None, FRAME, FRAME, 1], tf.uint8, "images")])
    def serving_default(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Faces as uint8 [n, 96, 96, 1]."""
        pixels = tf.cast(images, tf.float32)
        labels = tf.constant(self.labels)
        keypoints, expression = self._networks()
        logits = expression(averaged(pixels, expression.input_shape[1]), training=False)
        probabilities = tf.nn.softmax(logits)
        points = keypoints(averaged(pixels, keypoints.input_shape[1]), training=False)
        return {
            "keypoints": tf.ensure_shape(points, [None, len(NAMES), 2]),
            "emotion_probabilities": probabilities,
            "emotion": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
            "emotion_labels": tf.tile(labels[None], [tf.shape(images)[0], 1]),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Faces as JPEG or PNG files, string [n]; resized by area to 96x96."""
        images = tf.map_fn(decode_face, image_bytes, fn_output_signature=tf.uint8)
        return self.serving_default(tf.ensure_shape(images, [None, FRAME, FRAME, 1]))


def averaged(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Images [n, 96, 96, 1] at `size`, each pixel the mean of a square; 96 / size must be whole."""
    times = FRAME // size
    return pixels if times == 1 else tf.nn.avg_pool2d(pixels, times, times, "VALID")


def decode_face(data: tf.Tensor) -> tf.Tensor:
    """One JPEG or PNG file as uint8 [96, 96, 1].

    The size is read off the header and bounded before anything is decoded; what is neither JPEG
    nor PNG, or has a side over 4,096 pixels, fails as an invalid argument.
    """
    # Shorter than its header is no PNG, and slicing past its end would fail with raw bytes in the
    # message.
    is_png = (tf.strings.substr(data, 0, len(_PNG)) == _PNG) & (tf.strings.length(data) >= 24)
    is_jpeg = tf.strings.substr(data, 0, len(_JPEG)) == _JPEG
    neither = tf.debugging.Assert(is_png | is_jpeg, ["image_bytes: expected a JPEG or PNG file"])
    with tf.control_dependencies([neither]):
        size = tf.cond(is_png, lambda: _png_size(data), lambda: tf.image.extract_jpeg_shape(data))
    message = f"image_bytes: expected a picture of 1 to {MAX_SIDE} pixels a side; height, width"
    sides = size[:2]
    fits = tf.reduce_all((sides > 0) & (sides <= MAX_SIDE))
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, sides])]):
        picture = tf.cond(
            is_png,
            lambda: tf.io.decode_png(data, channels=1),
            lambda: tf.io.decode_jpeg(data, channels=1),
        )
    face = tf.image.resize(picture, [FRAME, FRAME], method="area")
    face = tf.cast(tf.round(face), tf.uint8)
    return tf.ensure_shape(face, [FRAME, FRAME, 1])


def _png_size(data: tf.Tensor) -> tf.Tensor:
    """Height and width off the header chunk, big-endian at bytes 16 to 24 (RFC 2083, 11.2.1)."""
    header = tf.io.decode_raw(
        tf.strings.substr(data, 16, 8), tf.int32, little_endian=False, fixed_length=8
    )
    return tf.stack([header[1], header[0]])
