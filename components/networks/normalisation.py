"""Batch normalisation that is fast in bfloat16."""

from typing import Any

import keras
from keras import layers, ops

# The channels that a processor with AVX-512 takes at once. TensorFlow's operation is up to three
# times as fast as its parts if they divide the channels, and several times slower if they do not.
_LANES = 16


@keras.saving.register_keras_serializable(package="emotion_ai")
class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation (https://arxiv.org/abs/1502.03167) over maps [n, H, W, channels].

    Keras' own layer casts its input to float32 and reads it eight times. This one stays in its
    compute dtype, in one operation of TensorFlow's where that is fast; else mean and mean square
    are taken by pooling, whose sums TensorFlow keeps in float32. The networks' README has the
    timings. At inference both layers compute the same.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise a batch [n, H, W, channels] and, in training, update the moving moments."""
        if not training:
            return super().call(inputs, training=False)
        is_fast = keras.backend.backend() == "tensorflow" and inputs.shape[-1] % _LANES == 0
        normalised, mean, variance = (_fused if is_fast else _composed)(
            inputs, self.gamma, self.beta, self.epsilon
        )
        for moving, current in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + current * (1 - self.momentum))
        return normalised


def _fused(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Normalise in one operation of TensorFlow's; return the mean and the variance, too."""
    import tensorflow as tf

    return tf.compat.v1.nn.fused_batch_norm(inputs, gamma, beta, epsilon=epsilon)


def _composed(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    mean = _mean_of_channels(inputs)
    variance = ops.maximum(_mean_of_channels(inputs * inputs) - ops.square(mean), 0)
    gain = gamma * ops.rsqrt(variance + epsilon)
    offset = beta - mean * gain
    normalised = inputs * ops.cast(gain, inputs.dtype) + ops.cast(offset, inputs.dtype)
    return normalised, mean, variance


def _mean_of_channels(features: Any) -> Any:
    # Other backends fuse the cast with the sum; TensorFlow would write the maps out in float32.
    if keras.backend.backend() == "tensorflow":
        features = ops.average_pool(features, features.shape[1:3])
    return ops.mean(ops.cast(features, "float32"), axis=(0, 1, 2))
