"""Images a second of this project's training, as JSON: a process of `bench_train`.

The same network, loss, optimizer and loop as a training has; the faces are noise.
"""

import json
import sys
import tempfile
import time
from itertools import islice, repeat

import numpy as np
import tensorflow as tf

from emotion_ai.faces.arrays import Faces, FacesInfo, FacesWriter, Rows
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.batches import epoch_batches
from emotion_ai.networks.machine import mixed_precision
from emotion_ai.networks.objectives import expression_objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import compile_network, train_epoch
from emotion_ai.networks.weights import spec_for

WARM_STEPS, LEARNING_RATE = 4, 1e-3


def noise(folder: str, count: int) -> Faces:
    """Prepared 48x48 faces of seven emotions, all of them to train on."""
    rng = np.random.default_rng(0)
    info = FacesInfo(
        kind="expression",
        label_set="fer7",
        labels=LABEL_SETS["fer7"],
        image_size=48,
        source="noise",
        fingerprint="0" * 64,
        mean=127.0,
        deviation=74.0,
        augmentation={"mirror": 0.5, "rotation": 10.0, "scale": 0.1, "shift": 0.06},
    )
    with FacesWriter(folder, info) as writer:
        images = rng.integers(0, 256, (count, 48, 48), np.uint8)
        emotions = rng.integers(0, 7, count).astype(np.uint8)
        index = np.arange(count)
        writer.append(Rows(images, emotions, np.zeros(count, np.uint8), index, index))
    return Faces(folder)


def main(precision: str, widths: str, threads: int, steps: int, batch_size: int) -> None:
    """Print images a second from the augmenting input, and from one batch again and again."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    settings = TrainingSettings(
        precision=precision,
        widths=[*map(int, widths.split("-"))],
        blocks=2,
        batch_size=batch_size,
    )
    rates = {}
    with tempfile.TemporaryDirectory() as folder, mixed_precision(precision):
        faces = noise(folder, batch_size * (steps + WARM_STEPS))
        objective = expression_objective(np.ones(7), settings.label_smoothing)
        network = compile_network(
            build_network(spec_for(faces.info, settings)), objective, settings
        )
        for name in ("cached batch", "augmenting input"):
            batches = epoch_batches(faces, objective, settings, 1, 0)
            if name == "cached batch":
                batches = repeat(next(batches))
            train_epoch(network, islice(batches, WARM_STEPS), repeat(LEARNING_RATE))
            started = time.perf_counter()
            train_epoch(network, islice(batches, steps), repeat(LEARNING_RATE))
            rates[name] = batch_size * steps / (time.perf_counter() - started)
    print(json.dumps(rates))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
