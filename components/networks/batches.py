"""The training's input: augmented batches, reproducible from the seed, prefetched by one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from emotion_ai.faces.arrays import TRAIN, Faces
from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.networks.mixup import Batch, mix_batch
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings


def steps_per_epoch(faces: Faces, batch_size: int) -> int:
    """Return the batches in an epoch; the remaining rows are dropped, different ones each epoch."""
    return max(1, len(faces.positions(TRAIN)) // batch_size)


def epoch_batches(
    faces: Faces, objective: Objective, settings: TrainingSettings, seed: int, epoch: int
) -> Iterator[Batch]:
    """Yield the augmented batches of one epoch.

    Order, augmentation and mixing depend on the seed and the epoch's number only, so a resumed
    training sees the same batches as an uninterrupted one.

    Args:
        faces: Prepared faces with an augmentation policy.
        objective: Encodes the targets.
        settings: Its `batch_size`, `mixup` and `cutmix`.
        seed: The training's seed.
        epoch: The epoch's number, from 0.

    Yields:
        Images float32 [batch_size, H, W, 1] in 0..255, encoded targets, and sample weights
        [batch_size].
    """
    order = np.random.default_rng([seed, epoch]).permutation(faces.positions(TRAIN))
    batch_size = settings.batch_size
    policy = AugmentationPolicy(**faces.info.augmentation)

    def make_batch(step: int) -> Batch:
        rows = faces.take(order[step * batch_size : (step + 1) * batch_size])
        rng = np.random.default_rng([seed, epoch, step])
        keypoints = None if faces.info.labels else rows.targets
        images, moved = augment(rows.images, keypoints, policy, rng)
        batch = images[..., None], *objective.encode(rows.targets if moved is None else moved)
        return mix_batch(batch, settings, rng)

    with ThreadPoolExecutor(1) as worker:
        pending = worker.submit(make_batch, 0)
        for step in range(1, steps_per_epoch(faces, batch_size)):
            ready, pending = pending, worker.submit(make_batch, step)
            yield ready.result()
        yield pending.result()
