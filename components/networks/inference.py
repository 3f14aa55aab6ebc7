"""Run trained networks over many faces."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 256
MODEL_FILE = "model.keras"


def run_in_batches(network: Any, images: NDArray) -> NDArray[np.float32]:
    """Run a Keras network over images, a batch at a time to bound memory.

    Args:
        network: The network.
        images: uint8 [n, H, W].

    Returns:
        Its outputs, float32 [n, ...].
    """
    outputs = [
        network.predict_on_batch(images[start : start + _BATCH, ..., None].astype(np.float32))
        for start in range(0, len(images), _BATCH)
    ]
    if not outputs:
        return np.empty((0, *network.output_shape[1:]), np.float32)
    return np.concatenate(outputs)


def load_network(model_dir: str | Path) -> Any:
    """Load the Keras network of a model artifact, without its optimizer."""
    import keras

    # Importing these registers their classes and functions with Keras.
    from emotion_ai.networks import normalisation, objectives  # noqa: F401

    return keras.saving.load_model(Path(model_dir, MODEL_FILE), compile=False)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert logits [n, k] to probabilities [n, k]."""
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)
