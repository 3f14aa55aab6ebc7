"""Batch normalisation computes what Keras' own layer does, whichever way is faster."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from emotion_ai.networks.normalisation import BatchNormalization


def trained_step(layer: keras.layers.Layer, images: np.ndarray, weights: np.ndarray) -> list:
    """What a layer gives for a batch in training, its gradients, and what it then remembers."""
    inputs = tf.constant(images)
    layer.build(images.shape)
    layer.gamma.assign(np.linspace(0.5, 2, images.shape[-1]))
    layer.beta.assign(np.linspace(-1, 1, images.shape[-1]))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs * weights)
    gradients = tape.gradient(loss, [inputs, layer.gamma, layer.beta])
    return [*map(np.array, (outputs, *gradients, layer.moving_mean, layer.moving_variance))]


# One operation of TensorFlow's takes multiples of 16.
@pytest.mark.parametrize("channels", [24, 32])
def test_training_is_that_of_keras(channels: int) -> None:
    rng = np.random.default_rng(1)
    images = rng.normal(3, 2, (64, 6, 6, channels)).astype(np.float32)
    weights = rng.normal(0, 1, images.shape).astype(np.float32)
    ours = trained_step(BatchNormalization(momentum=0.9), images, weights)
    keras_own = trained_step(keras.layers.BatchNormalization(momentum=0.9), images, weights)
    for name, a, b in zip(
        ("outputs", "d inputs", "d gamma", "d beta", "mean", "variance"),
        ours,
        keras_own,
        strict=True,
    ):
        # TensorFlow's variance is that of a sample: of 2,304 values, 1 / 2,303 larger.
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("channels", [24, 32])
def test_bfloat16_stays_near_float32(channels: int) -> None:
    rng = np.random.default_rng(1)
    images = rng.normal(3, 2, (64, 6, 6, channels)).astype(np.float32)
    exact = BatchNormalization()(images, training=True)
    layer = BatchNormalization(dtype="mixed_bfloat16")
    outputs = layer(tf.cast(images, tf.bfloat16), training=True)
    assert outputs.dtype == tf.bfloat16
    # Eight bits of a value that is seldom above 4.
    assert np.abs(np.array(tf.cast(outputs, tf.float32)) - exact).max() < 2**-4
