"""The exported graph: both networks behind two signatures, for raw pixels or image files."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from emotion_ai.export.exif import turn_upright
from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.faces.reasons import AMBIGUOUS, BY_THE_NETWORKS, NOT_A_FACE
from emotion_ai.networks.refusal import Refusal, with_last_map

# A small file can decode to gigabytes, and in production clients reach the graph directly.
MAX_SIDE = 4_096

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


class FaceModel(tf.Module):
    """Keypoints and emotion of a face.

    Both signatures return, batch first:

    - keypoints: float32 [n, 15, 2], x and y in pixels of the 96x96 face.
    - emotion_probabilities: float32 [n, k].
    - emotion: string [n], the most probable emotion.
    - emotion_labels: string [n, k], the emotions in the order of the probabilities.

    With a refusal also:

    - face_score: float32 [n], 0 or more where the picture shows a face.
    - cannot_tell: string [n], why the answer is none: "not a face" or "ambiguous"; else "".

    Args:
        keypoints: Keras network from float32 [n, s, s, 1] to [n, 15, 2]; s divides 96.
        expression: Keras network from float32 [n, s, s, 1] to logits [n, k].
        labels: The k emotions in the order of the logits.
        refusal: When the answer is none; None where that is not known.
    """

    def __init__(
        self,
        keypoints: Any,
        expression: Any,
        labels: tuple[str, ...],
        refusal: Refusal | None = None,
    ) -> None:
        super().__init__()
        # Track the TensorFlow variables, not the Keras networks that wrap them. Tracked through
        # both, each would be exported twice, and TensorFlow Serving, which restores by the saver
        # alone, would restore the copy that no signature reads.
        self.weights = [weight.value for net in (keypoints, expression) for weight in net.weights]
        networks = with_last_map(keypoints), with_last_map(expression)
        self._networks = lambda: networks
        self._refusal = refusal and tuple(map(tf.constant, refusal))
        self.labels = labels

    @tf.function(input_signature=[tf.TensorSpec([None, FRAME, FRAME, 1], tf.uint8, "images")])
    def serving_default(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predict for faces as pixels, uint8 [n, 96, 96, 1]."""
        pixels = tf.cast(images, tf.float32)
        labels = tf.constant(self.labels)
        keypoints, expression = self._networks()
        size = expression.input_shape[1]
        logits, emotion_map = expression(_downsample(pixels, size), training=False)
        probabilities = tf.nn.softmax(logits)
        size = keypoints.input_shape[1]
        points, place_map = keypoints(_downsample(pixels, size), training=False)
        outputs = {
            "keypoints": tf.ensure_shape(points, [None, len(NAMES), 2]),
            "emotion_probabilities": probabilities,
            "emotion": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
            "emotion_labels": tf.tile(labels[None], [tf.shape(images)[0], 1]),
        }
        return outputs | self._refuse((emotion_map, place_map), probabilities)

    def _refuse(self, maps: Sequence[tf.Tensor], probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        """Say whether the answer is one; say nothing where no refusal is known."""
        if self._refusal is None:
            return {}
        weights, bias, min_probability = self._refusal
        features = tf.concat([tf.reduce_mean(each, [1, 2]) for each in maps], 1)
        score = tf.reduce_sum(features * weights, -1) + bias
        is_sure = tf.reduce_max(probabilities, -1) >= min_probability
        reasons = [BY_THE_NETWORKS.index(reason) for reason in (NOT_A_FACE, AMBIGUOUS, "")]
        not_a_face, ambiguous, answer = (tf.constant(reason) for reason in reasons)
        reason = tf.where(score < 0, not_a_face, tf.where(is_sure, answer, ambiguous))
        return {"face_score": score, "cannot_tell": tf.gather(tf.constant(BY_THE_NETWORKS), reason)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encoded(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predict for faces as JPEG or PNG files, string [n]; turned, resized by area to 96x96."""
        images = tf.map_fn(decode_face, image_bytes, fn_output_signature=tf.uint8)
        return self.serving_default(tf.ensure_shape(images, [None, FRAME, FRAME, 1]))


def _downsample(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Average-pool images [n, 96, 96, 1] to [n, size, size, 1]; `size` must divide 96."""
    factor = FRAME // size
    return pixels if factor == 1 else tf.nn.avg_pool2d(pixels, factor, factor, "VALID")


def decode_face(data: tf.Tensor) -> tf.Tensor:
    """Decode one JPEG or PNG file to a grayscale face, inside the graph.

    The size is read from the header and checked before any pixel is decoded.

    Args:
        data: The file's bytes, a string scalar.

    Returns:
        uint8 [96, 96, 1], resized by area and turned as EXIF says.

    Raises:
        tf.errors.InvalidArgumentError: The file is neither JPEG nor PNG, is damaged, or has a
            side over 4,096 pixels.
    """
    # A file shorter than a PNG header is not a PNG; slicing past its end would fail with raw bytes
    # in the message.
    is_png = (tf.strings.substr(data, 0, len(_PNG)) == _PNG) & (tf.strings.length(data) >= 24)
    is_jpeg = tf.strings.substr(data, 0, len(_JPEG)) == _JPEG
    known = tf.debugging.Assert(is_png | is_jpeg, ["image_bytes: expected a JPEG or PNG file"])
    with tf.control_dependencies([known]):
        size = tf.cond(is_png, lambda: _png_size(data), lambda: tf.image.extract_jpeg_shape(data))
    message = f"image_bytes: expected a picture of 1 to {MAX_SIDE} pixels a side; height, width"
    sides = size[:2]
    fits = tf.reduce_all((sides > 0) & (sides <= MAX_SIDE))
    with tf.control_dependencies([tf.debugging.Assert(fits, [message, sides])]):
        face = tf.cond(
            is_png,
            lambda: _resize(tf.io.decode_png(data, channels=1)),
            lambda: _decode_jpeg(data, channels=size[-1]),
        )
    # Resized first: a turn of few pixels takes next to nothing.
    upright = turn_upright(tf.cast(tf.round(face), tf.uint8), data)
    return tf.ensure_shape(upright, [FRAME, FRAME, 1])


def _resize(picture: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(picture, [FRAME, FRAME], method="area")


def _decode_jpeg(data: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Decode and resize a JPEG. Of CMYK the decoder makes RGB, but no gray."""
    return tf.cond(
        channels == 4,
        lambda: tf.image.rgb_to_grayscale(_resize(tf.io.decode_jpeg(data, channels=3))),
        lambda: _resize(tf.io.decode_jpeg(data, channels=1)),
    )


def _png_size(data: tf.Tensor) -> tf.Tensor:
    """Read height and width from IHDR, big-endian at bytes 16 to 24 (RFC 2083, 11.2.1)."""
    header = tf.io.decode_raw(
        tf.strings.substr(data, 16, 8), tf.int32, little_endian=False, fixed_length=8
    )
    return tf.stack([header[1], header[0]])
