"""Fold batch normalisation into convolutions: the same outputs from half the operations."""

from typing import Any

import keras
import numpy as np
from keras import layers


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """Return a network without batch normalisation whose inference outputs are the same.

    At inference a batch normalisation is y = a x + b for each channel, with a = gamma /
    sqrt(variance + epsilon) and b = beta - a mean (https://arxiv.org/abs/1712.05877, section 3.2).
    The kernel of the convolution before it is multiplied by `a`, and `b` becomes its bias.

    Args:
        network: A functional model in which every batch normalisation follows a convolution
            without bias that feeds nothing else.

    Returns:
        A float32 model with new weights; `network` is unchanged.
    """
    norm_after = {
        _input_layer(layer).name: layer
        for layer in network.layers
        if isinstance(layer, layers.BatchNormalization)
    }
    folded_names = {layer.name for layer in norm_after.values()}

    def clone_layer(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config() | {"dtype": "float32"}
        if layer.name in norm_after:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call_layer(layer: layers.Layer, features: Any, **options: Any) -> Any:
        return features if layer.name in folded_names else layer(features, **options)

    folded = keras.models.clone_model(network, clone_function=clone_layer, call_function=call_layer)
    for layer in folded.layers:
        weights = network.get_layer(layer.name).get_weights()
        if layer.name in norm_after:
            weights = _folded_weights(weights[0], norm_after[layer.name])
        layer.set_weights(weights)
    return folded


def _input_layer(layer: layers.Layer) -> Any:
    # Keras has no public way from a layer to the one before it.
    (node,) = layer._inbound_nodes[0].parent_nodes  # noqa: SLF001
    return node.operation


def _folded_weights(kernel: Any, norm: layers.Layer) -> list[np.ndarray]:
    """Return kernel [height, width, in, out] and bias [out] of the folded convolution."""
    gamma, beta, mean, variance = (w.astype(np.float64) for w in norm.get_weights())
    gain = gamma / np.sqrt(variance + norm.epsilon)
    return [(kernel * gain).astype(np.float32), (beta - mean * gain).astype(np.float32)]
