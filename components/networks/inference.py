"""Run trained networks and releases over many faces."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import FRAME

_BATCH = 256
MODEL_FILE = "model.keras"


def run_in_batches(network: Any, images: NDArray) -> NDArray[np.float32]:
    """A Keras network's outputs for uint8 images [n, H, W]; memory for one batch at a time."""
    parts = [
        network.predict_on_batch(images[k : k + _BATCH, ..., None].astype(np.float32))
        for k in range(0, len(images), _BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty((0, *network.output_shape[1:]), np.float32)


def load_network(model_dir: str | Path) -> Any:
    """The Keras network in a model artifact."""
    import keras

    from emotion_ai.networks import normalisation, objectives  # noqa: F401 - known to Keras by it

    return keras.saving.load_model(Path(model_dir, MODEL_FILE), compile=False)


def predict_keypoints(model_dir: str | Path, images: NDArray) -> NDArray[np.float32]:
    """Keypoints [n, 15, 2] in pixels of the 96x96 frame for uint8 images [n, H, W]."""
    return run_in_batches(load_network(model_dir), images)


def predict_expression(model_dir: str | Path, images: NDArray) -> NDArray[np.float32]:
    """Probabilities [n, k] for uint8 images [n, H, W]."""
    return probabilities(run_in_batches(load_network(model_dir), images))


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """The softmax of logits [n, k]."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def predict_release(release_dir: str | Path, images: NDArray) -> dict[str, NDArray]:
    """What a release answers for uint8 images [n, 96, 96] or [n, 48, 48] (doubled).

    Returns keypoints float32 [n, 15, 2], emotion_probabilities float32 [n, k] and
    emotion_labels str [k].
    """
    import tensorflow as tf

    release = tf.saved_model.load(str(release_dir))
    answer = release.signatures["serving_default"]
    times = FRAME // images.shape[1]
    keypoints, probabilities, labels = [], [], []
    for k in range(0, len(images), _BATCH):
        batch = images[k : k + _BATCH].repeat(times, 1).repeat(times, 2)[..., None]
        outputs = answer(images=tf.constant(batch))
        keypoints.append(outputs["keypoints"].numpy())
        probabilities.append(outputs["emotion_probabilities"].numpy())
        labels = [name.decode() for name in outputs["emotion_labels"].numpy()[0]]
    return {
        "keypoints": np.concatenate(keypoints),
        "emotion_probabilities": np.concatenate(probabilities),
        "emotion_labels": np.array(labels),
    }
