"""Batch normalisation folded into the convolutions: the same outputs from half the operations."""

from typing import Any

import keras
import numpy as np
from keras import layers


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """A float32 network whose outputs are those of `network` at inference.

    At inference a batch normalisation is y = a x + b a channel, with a = gamma / sqrt(variance +
    epsilon) and b = beta - a mean (https://arxiv.org/abs/1712.05877, section 3.2): `a` goes into
    the kernel of the convolution before it and `b` becomes that convolution's bias.
    """
    normalised_by = {
        _before(layer).name: layer
        for layer in network.layers
        if isinstance(layer, layers.BatchNormalization)
    }
    gone = {layer.name for layer in normalised_by.values()}

    def rebuilt(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config() | {"dtype": "float32"}
        if layer.name in normalised_by:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def called(layer: layers.Layer, features: Any, **options: Any) -> Any:
        return features if layer.name in gone else layer(features, **options)

    result = keras.models.clone_model(network, clone_function=rebuilt, call_function=called)
    for layer in result.layers:
        weights = network.get_layer(layer.name).get_weights()
        if layer.name in normalised_by:
            weights = _with_normalisation(weights[0], normalised_by[layer.name])
        layer.set_weights(weights)
    return result


def _before(normalisation: layers.Layer) -> Any:
    (came_from,) = normalisation._inbound_nodes[0].parent_nodes
    return came_from.operation


def _with_normalisation(kernel: Any, normalisation: layers.Layer) -> list[np.ndarray]:
    """Kernel and bias of a convolution [height, width, in, out] with what follows it."""
    gamma, beta, mean, variance = (w.astype(np.float64) for w in normalisation.get_weights())
    gain = gamma / np.sqrt(variance + normalisation.epsilon)
    return [(kernel * gain).astype(np.float32), (beta - mean * gain).astype(np.float32)]
