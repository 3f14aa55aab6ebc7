"""The input of a training: augmented batches, the same for the same seed, made one ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from components.faces.arrays import TRAIN, Faces
from components.faces.augmentation import AugmentationPolicy, augment
from components.networks.objectives import Objective
from components.networks.settings import TrainingSettings

Batch = tuple[NDArray, NDArray, NDArray]


def steps_per_epoch(faces: Faces, batch_size: int) -> int:
    """Batches in an epoch; rows left over are dropped, other ones in each epoch."""
    return max(1, len(faces.positions(TRAIN)) // batch_size)


def epoch_batches(
    faces: Faces, objective: Objective, settings: TrainingSettings, seed: int, epoch: int
) -> Iterator[Batch]:
    """The (images, y, sample weight) batches of one epoch.

    Images are float32 [batch_size, H, W, 1] in 0-255. Order, augmentation and blending depend on
    the seed and the epoch's number alone, so a resumed training sees what it would have seen.
    """
    order = np.random.default_rng([seed, epoch]).permutation(faces.positions(TRAIN))
    batch_size = settings.batch_size
    policy = AugmentationPolicy(**faces.info.augmentation)

    def make(step: int) -> Batch:
        rows = faces.take(order[step * batch_size : (step + 1) * batch_size])
        rng = np.random.default_rng([seed, epoch, step])
        keypoints = rows.targets if faces.info.kind == "keypoints" else None
        images, moved = augment(rows.images, keypoints, policy, rng)
        batch = images[..., None], *objective.encode(rows.targets if moved is None else moved)
        return _blended(batch, settings.mixup, rng) if settings.mixup else batch

    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(make, 0)
        for step in range(1, steps_per_epoch(faces, batch_size)):
            ready, coming = coming, worker.submit(make, step)
            yield ready.result()
        yield coming.result()


def _blended(batch: Batch, mixup: float, rng: np.random.Generator) -> Batch:
    """Each face blended with another one of the batch, and their targets in the same shares.

    Mixup (Zhang et al. 2017, https://arxiv.org/abs/1710.09412) for one-hot targets [n, k]: the
    share of a target counts with the weight of its own sample.
    """
    images, one_hot, weights = batch
    other = rng.permutation(len(images))
    share = rng.beta(mixup, mixup, (len(images), 1)).astype(np.float32)
    images = share[..., None, None] * images + (1 - share[..., None, None]) * images[other]
    weighted = one_hot * weights[:, None]
    weighted = share * weighted + (1 - share) * weighted[other]
    total = weighted.sum(axis=1)
    return images, weighted / total[:, None], total
