"""The two networks: raw pixels in, keypoints in pixels or logits of emotions out."""

import keras
from keras import layers

from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.networks.blocks import backbone
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec


def build(described: NetworkSpec) -> keras.Model:
    """The untrained network of a description."""
    pixels = (described.settings, described.image_size, described.mean, described.deviation)
    if described.labels:
        return expression_network(*pixels, len(described.labels))
    return keypoint_network(*pixels)


def keypoint_network(
    settings: TrainingSettings, image_size: int, mean: float, deviation: float
) -> keras.Model:
    """Images [n, H, W, 1] with raw pixels to keypoints float32 [n, 15, 2] in pixels of the frame.

    The last feature map is flattened, not pooled: where a feature stands is what is asked for.
    """
    pixels = keras.Input((image_size, image_size, 1), name="pixels")
    features = backbone(pixels, settings.widths, settings.blocks, mean, deviation)
    features = layers.Flatten()(features)
    features = layers.Dropout(settings.dropout)(features)
    # Thousands of features move each coordinate at once: unscaled, Adam's first steps would
    # throw the keypoints hundreds of pixels off.
    gain = FRAME / 2 / features.shape[-1] ** 0.5
    points = layers.Dense(2 * len(NAMES), kernel_initializer="zeros")(features)
    points = layers.Reshape((len(NAMES), 2))(points)
    points = layers.Rescaling(gain, offset=FRAME / 2, name="keypoints", dtype="float32")(points)
    return keras.Model(pixels, points, name="keypoint_network")


def expression_network(
    settings: TrainingSettings, image_size: int, mean: float, deviation: float, emotions: int
) -> keras.Model:
    """Images [n, H, W, 1] with raw pixels to logits float32 [n, emotions]."""
    pixels = keras.Input((image_size, image_size, 1), name="pixels")
    features = backbone(pixels, settings.widths, settings.blocks, mean, deviation)
    features = layers.GlobalAveragePooling2D()(features)
    features = layers.Dropout(settings.dropout)(features)
    logits = layers.Dense(emotions, name="logits", dtype="float32")(features)
    return keras.Model(pixels, logits, name="expression_network")
