"""Mixup and CutMix: pairs of faces mixed into one, which reduces overconfidence."""

import numpy as np
from numpy.typing import NDArray

from emotion_ai.networks.settings import TrainingSettings

# Images [n, H, W, 1], targets, sample weights [n].
Batch = tuple[NDArray, NDArray, NDArray]


def mix_batch(batch: Batch, settings: TrainingSettings, rng: np.random.Generator) -> Batch:
    """Mix each face of a batch with another one, and their targets in the same shares.

    Args:
        batch: Images [n, H, W, 1], one-hot targets [n, k] and sample weights [n].
        settings: `cutmix` is the share of batches for CutMix, `mixup` the parameter of Mixup in
            the others; with both 0 the batch is returned unchanged.
        rng: Draws the pairs and their shares.

    Returns:
        A batch of the same shapes. Each target counts with the sample weight of its own face.
    """
    images, one_hot, weights = batch
    partners = rng.permutation(len(images))
    if rng.random() < settings.cutmix:
        images, share = _cutmix(images, partners, rng)
    elif settings.mixup:
        images, share = _mixup(images, partners, settings.mixup, rng)
    else:
        return batch
    weighted = one_hot * weights[:, None]
    weighted = share * weighted + (1 - share) * weighted[partners]
    total = weighted.sum(axis=1)
    return images, weighted / total[:, None], total


def _mixup(
    images: NDArray, partners: NDArray, mixup: float, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Apply Mixup (Zhang et al. 2017, https://arxiv.org/abs/1710.09412).

    Returns:
        The mixed images, and the share [n, 1] of the first face of each pair.
    """
    share = rng.beta(mixup, mixup, (len(images), 1)).astype(np.float32)
    pixel_share = share[..., None, None]
    return pixel_share * images + (1 - pixel_share) * images[partners], share


def _cutmix(
    images: NDArray, partners: NDArray, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Apply CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899), one square a batch.

    Returns:
        The mixed images, and the share [n, 1] of the first face of each pair.
    """
    size = images.shape[1]
    side = round(size * rng.random() ** 0.5)
    top, left = rng.integers(0, size - side + 1, 2)
    square = np.s_[:, top : top + side, left : left + side]
    mixed = images.copy()
    mixed[square] = images[partners][square]
    share = np.full((len(images), 1), 1 - (side / size) ** 2, np.float32)
    return mixed, share
