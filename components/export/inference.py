"""Run a SavedModel on faces, in this process."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME

_BATCH = 256


def call_signature(signature: Any, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Call a loaded `serving_default` signature.

    Args:
        signature: One of `tf.saved_model.load(...).signatures`.
        images: uint8 [n, 96, 96, 1].

    Returns:
        Each output by name, batch first; strings as NumPy str.
    """
    outputs = signature(images=tf.constant(images))
    arrays = {name: value.numpy() for name, value in outputs.items()}
    return {name: a.astype(str) if a.dtype == object else a for name, a in arrays.items()}


def predict_release(release_dir: str | Path, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Run a release on any number of faces, in batches.

    Args:
        release_dir: The release's local folder.
        images: uint8 [n, 96, 96], or [n, 48, 48], which are enlarged by repeating pixels.

    Returns:
        keypoints float32 [n, 15, 2], emotion_probabilities float32 [n, k], emotion str [n] and
        emotion_labels str [n, k].

    Example:
        >>> from emotion_ai.export.inference import predict_release
        >>> outputs = predict_release("models/3", images)
        >>> outputs["keypoints"].shape
        (2, 15, 2)
    """
    signature = tf.saved_model.load(str(release_dir)).signatures["serving_default"]
    batches = [
        call_signature(signature, enlarge(images[start : start + _BATCH]))
        for start in range(0, max(len(images), 1), _BATCH)
    ]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def enlarge(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarge faces uint8 [n, s, s] to [n, 96, 96, 1] by repeating pixels; s must divide 96."""
    factor = FRAME // images.shape[1]
    return images.repeat(factor, 1).repeat(factor, 2)[..., None]
