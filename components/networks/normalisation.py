"""Batch normalisation that keeps up with the convolutions around it."""

from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="emotion_ai")
class BatchNormalization(layers.BatchNormalization):
    """Batch normalisation (https://arxiv.org/abs/1502.03167) over maps [n, H, W, channels].

    Keras' own layer turns its input to float32 and goes over it eight times; this one stays in the
    dtype it computes in and takes mean and mean square by pooling, whose sums TensorFlow keeps in
    float32. The networks' README has the times. At inference both do the same.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not training:
            return super().call(inputs, training=False)
        mean = _mean_of_channels(inputs)
        variance = ops.maximum(_mean_of_channels(inputs * inputs) - ops.square(mean), 0)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        gain = self.gamma * ops.rsqrt(variance + self.epsilon)
        offset = self.beta - mean * gain
        return inputs * ops.cast(gain, inputs.dtype) + ops.cast(offset, inputs.dtype)


def _mean_of_channels(features: Any) -> Any:
    # A compiler fuses the cast with the sum; TensorFlow would write the maps out in float32 first.
    if keras.backend.backend() == "tensorflow":
        features = ops.average_pool(features, features.shape[1:3])
    return ops.mean(ops.cast(features, "float32"), axis=(0, 1, 2))
