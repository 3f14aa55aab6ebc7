"""What is done to a trained network's logits: rare emotions favoured, probabilities calibrated."""

import numpy as np
from keras import Model
from numpy.typing import NDArray

from emotion_ai.faces.arrays import Rows
from emotion_ai.networks.inference import run_in_batches

# In steps of one per cent. A temperature outside this range would come from too few validation
# faces and not from the network.
_TEMPERATURES = np.geomspace(0.5, 2, 139)


def favour_rare(network: Model, weight: NDArray, power: float) -> None:
    """Divide each emotion's probability by a power of its weight in training.

    Logit adjustment (Menon et al. 2021, https://arxiv.org/abs/2007.07314), inside the last layer.

    Args:
        network: An expression network; its last layer is changed.
        weight: [k], the sum of the sample weights of each emotion's training faces.
        power: 0 leaves the network as it is; 1 undoes the emotions' different frequency.
    """
    last = network.layers[-1]
    kernel, bias = last.get_weights()
    share = np.maximum(weight, weight[weight > 0].min()) / weight.sum()
    last.set_weights([kernel, bias - power * np.log(share)])


def calibrate(network: Model, held_out: Rows) -> float:
    """Divide the logits by the best temperature for held-out faces, inside the last layer.

    Temperature scaling (Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2) changes the
    probabilities and never the predicted class.

    Args:
        network: An expression network; its last layer is changed.
        held_out: Faces that it was not trained on.

    Returns:
        The temperature.
    """
    logits = run_in_batches(network, held_out.images).astype(np.float64)
    losses = [_cross_entropy(logits / t, held_out.targets) for t in _TEMPERATURES]
    temperature = float(_TEMPERATURES[np.argmin(losses)])
    last = network.layers[-1]
    last.set_weights([weights / temperature for weights in last.get_weights()])
    return temperature


def _cross_entropy(logits: NDArray[np.float64], codes: NDArray) -> float:
    logits = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits).sum(axis=1))
    return float((log_sum - logits[np.arange(len(codes)), codes]).mean())
