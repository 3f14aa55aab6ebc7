"""The input of a training: augmented batches, the same for the same seed, made one ahead."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from emotion_ai.faces.arrays import TRAIN, Faces
from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.networks.mixup import Batch, mix_batch
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings


def steps_per_epoch(faces: Faces, batch_size: int) -> int:
    """Batches in an epoch; rows left over are dropped, other ones in each epoch."""
    return max(1, len(faces.positions(TRAIN)) // batch_size)


def epoch_batches(
    faces: Faces, objective: Objective, settings: TrainingSettings, seed: int, epoch: int
) -> Iterator[Batch]:
    """The (images, y, sample weight) batches of one epoch.

    Images are float32 [batch_size, H, W, 1] in 0-255. Order, augmentation and mixing depend on
    the seed and the epoch's number alone, so a resumed training sees what it would have seen.
    """
    order = np.random.default_rng([seed, epoch]).permutation(faces.positions(TRAIN))
    batch_size = settings.batch_size
    policy = AugmentationPolicy(**faces.info.augmentation)

    def make(step: int) -> Batch:
        rows = faces.take(order[step * batch_size : (step + 1) * batch_size])
        rng = np.random.default_rng([seed, epoch, step])
        keypoints = None if faces.info.labels else rows.targets
        images, moved = augment(rows.images, keypoints, policy, rng)
        batch = images[..., None], *objective.encode(rows.targets if moved is None else moved)
        return mix_batch(batch, settings, rng)

    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(make, 0)
        for step in range(1, steps_per_epoch(faces, batch_size)):
            ready, coming = coming, worker.submit(make, step)
            yield ready.result()
        yield coming.result()
