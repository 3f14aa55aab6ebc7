"""The two networks: from raw pixels to keypoints in pixels, or to logits of emotions."""

import keras
from keras import layers

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.networks.blocks import backbone
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec


def build_network(spec: NetworkSpec) -> keras.Model:
    """Build the untrained network of a spec.

    Example:
        network = build_network(spec_for(faces.info, TrainingSettings()))
    """
    inputs = (spec.settings, spec.image_size, spec.mean, spec.deviation)
    if spec.labels:
        return expression_network(*inputs, len(spec.labels))
    return keypoint_network(*inputs)


def keypoint_network(
    settings: TrainingSettings, image_size: int, mean: float, deviation: float
) -> keras.Model:
    """Build the network that locates the keypoints.

    The last feature map is flattened and not pooled, because the position of a feature matters.

    Args:
        settings: Its `widths`, `blocks` and `dropout`.
        image_size: Side of the images in pixels.
        mean: Mean of the train split's pixels.
        deviation: Standard deviation of the train split's pixels.

    Returns:
        A model from images [n, H, W, 1] with raw pixels to keypoints float32 [n, 15, 2] in pixels
        of the 96x96 frame.
    """
    pixels = keras.Input((image_size, image_size, 1), name="pixels")
    features = backbone(pixels, settings.widths, settings.blocks, mean, deviation)
    features = layers.Flatten()(features)
    features = layers.Dropout(settings.dropout)(features)
    # Thousands of features contribute to each coordinate: unscaled, Adam's first steps would move
    # the keypoints by hundreds of pixels.
    gain = FRAME / 2 / features.shape[-1] ** 0.5
    points = layers.Dense(2 * len(NAMES), kernel_initializer="zeros")(features)
    points = layers.Reshape((len(NAMES), 2))(points)
    points = layers.Rescaling(gain, offset=FRAME / 2, name="keypoints", dtype="float32")(points)
    return keras.Model(pixels, points, name="keypoint_network")


def expression_network(
    settings: TrainingSettings, image_size: int, mean: float, deviation: float, emotions: int
) -> keras.Model:
    """Build the network that classifies the emotion.

    Args:
        settings: Its `widths`, `blocks` and `dropout`.
        image_size: Side of the images in pixels.
        mean: Mean of the train split's pixels.
        deviation: Standard deviation of the train split's pixels.
        emotions: Number of emotions.

    Returns:
        A model from images [n, H, W, 1] with raw pixels to logits float32 [n, emotions].
    """
    pixels = keras.Input((image_size, image_size, 1), name="pixels")
    features = backbone(pixels, settings.widths, settings.blocks, mean, deviation)
    features = layers.GlobalAveragePooling2D()(features)
    features = layers.Dropout(settings.dropout)(features)
    logits = layers.Dense(emotions, name="logits", dtype="float32")(features)
    return keras.Model(pixels, logits, name="expression_network")
