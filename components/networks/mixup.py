"""Two faces in one: a network that sees them is less sure of what it does not know."""

import numpy as np
from numpy.typing import NDArray

from emotion_ai.networks.settings import TrainingSettings

Batch = tuple[NDArray, NDArray, NDArray]


def mix_batch(batch: Batch, settings: TrainingSettings, rng: np.random.Generator) -> Batch:
    """Each face mixed with another one of the batch, and their targets in the same shares.

    A batch is (images [n, H, W, 1], one-hot targets [n, k], sample weights [n]); the share of a
    target counts with the weight of its own sample. `settings` say how, and whether at all.
    """
    images, one_hot, weights = batch
    other = rng.permutation(len(images))
    if rng.random() < settings.cutmix:
        images, share = _cutmix(images, other, rng)
    elif settings.mixup:
        images, share = _mixup(images, other, settings.mixup, rng)
    else:
        return batch
    weighted = one_hot * weights[:, None]
    weighted = share * weighted + (1 - share) * weighted[other]
    total = weighted.sum(axis=1)
    return images, weighted / total[:, None], total


def _mixup(
    images: NDArray, other: NDArray, mixup: float, rng: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Mixup (Zhang et al. 2017, https://arxiv.org/abs/1710.09412), and each first face's share."""
    share = rng.beta(mixup, mixup, (len(images), 1)).astype(np.float32)
    of_pixels = share[..., None, None]
    return of_pixels * images + (1 - of_pixels) * images[other], share


def _cutmix(images: NDArray, other: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899) with one square for the batch."""
    size = images.shape[1]
    side = round(size * rng.random() ** 0.5)
    top, left = rng.integers(0, size - side + 1, 2)
    square = np.s_[:, top : top + side, left : left + side]
    pasted = images.copy()
    pasted[square] = images[other][square]
    share = np.full((len(images), 1), 1 - (side / size) ** 2, np.float32)
    return pasted, share
