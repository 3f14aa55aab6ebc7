"""The residual block and the backbone that both networks share."""

from collections.abc import Sequence

from keras import KerasTensor, layers

from emotion_ai.networks.normalisation import BatchNormalization

# Keras' default of 0.99 needs hundreds of steps to adapt; an epoch of a few thousand faces has
# dozens.
MOMENTUM = 0.9


def residual_block(features: KerasTensor, width: int, stride: int) -> KerasTensor:
    """Apply two 3x3 convolutions with a shortcut around them.

    After He et al. 2015 (https://arxiv.org/abs/1512.03385). The shortcut is the identity; where
    the shape changes it is average pooling and a 1x1 convolution (ResNet-D, He et al. 2018,
    https://arxiv.org/abs/1812.01187).

    Args:
        features: [n, H, W, channels].
        width: Output channels.
        stride: 2 halves the feature map.

    Returns:
        [n, H / stride, W / stride, width].
    """
    shortcut = features
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same")(shortcut)
    if features.shape[-1] != width:
        shortcut = layers.Conv2D(width, 1, use_bias=False)(shortcut)
        shortcut = BatchNormalization(momentum=MOMENTUM)(shortcut)
    residual = conv_bn_relu(features, width, stride)
    residual = layers.Conv2D(width, 3, padding="same", use_bias=False)(residual)
    # A gain of zero makes a new block the identity (Goyal et al. 2017, arXiv:1706.02677).
    residual = BatchNormalization(momentum=MOMENTUM, gamma_initializer="zeros")(residual)
    return layers.Activation("relu")(layers.Add()([shortcut, residual]))


def conv_bn_relu(features: KerasTensor, width: int, stride: int) -> KerasTensor:
    """Apply a 3x3 convolution, batch normalisation (arXiv:1502.03167) and ReLU."""
    features = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(features)
    features = BatchNormalization(momentum=MOMENTUM)(features)
    return layers.Activation("relu")(features)


def backbone(
    pixels: KerasTensor, widths: Sequence[int], blocks: int, mean: float, deviation: float
) -> KerasTensor:
    """Extract features from raw pixels; normalisation is part of the network.

    The stem and every stage but the first halve the image, so s is the number of widths.

    Args:
        pixels: [n, H, W, 1] in 0..255.
        widths: Channels of each stage.
        blocks: Residual blocks a stage.
        mean: Mean of the train split's pixels.
        deviation: Standard deviation of the train split's pixels.

    Returns:
        [n, H / 2**s, W / 2**s, widths[-1]].
    """
    features = layers.Rescaling(1 / deviation, offset=-mean / deviation)(pixels)
    features = conv_bn_relu(features, widths[0], stride=2)
    for stage, width in enumerate(widths):
        for block in range(blocks):
            features = residual_block(features, width, stride=2 if stage and not block else 1)
    return features
