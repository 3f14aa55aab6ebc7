"""Ask a SavedModel about faces, in this process."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME

_BATCH = 256


def ask_signature(signature: Any, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Call a loaded `serving_default` signature.

    Args:
        signature: what `tf.saved_model.load(...).signatures` holds.
        images: uint8 [n, 96, 96, 1].

    Returns:
        Each output by name, batch first; texts as str.
    """
    outputs = signature(images=tf.constant(images))
    arrays = {name: value.numpy() for name, value in outputs.items()}
    return {name: a.astype(str) if a.dtype == object else a for name, a in arrays.items()}


def predict_release(release_dir: str | Path, images: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Ask a release about many faces, a batch at a time.

    Args:
        release_dir: the release's local folder.
        images: uint8 [n, 96, 96], or [n, 48, 48], which are doubled pixel by pixel.

    Returns:
        keypoints float32 [n, 15, 2], emotion_probabilities float32 [n, k], emotion str [n] and
        emotion_labels str [n, k].
    """
    signature = tf.saved_model.load(str(release_dir)).signatures["serving_default"]
    answers = [
        ask_signature(signature, enlarge(images[k : k + _BATCH]))
        for k in range(0, max(len(images), 1), _BATCH)
    ]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def enlarge(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Faces [n, s, s] as the signature takes them; a smaller one is repeated pixel by pixel."""
    times = FRAME // images.shape[1]
    return images.repeat(times, 1).repeat(times, 2)[..., None]
