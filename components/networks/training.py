"""The training loop: Keras 3 alone, so that it runs on TensorFlow, JAX or PyTorch."""

import time
from dataclasses import dataclass

import keras
import numpy as np
from keras import optimizers

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import VALIDATION, Faces, Rows
from emotion_ai.networks import checkpoints
from emotion_ai.networks.architectures import build
from emotion_ai.networks.batches import epoch_batches, steps_per_epoch
from emotion_ai.networks.checkpoints import Progress
from emotion_ai.networks.distillation import load_teachers, with_teacher_targets
from emotion_ai.networks.inference import run_in_batches
from emotion_ai.networks.machine import mixed_precision
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import load_initial_weights, spec_for, weights_uri

# Enough to choose an epoch by; the evaluation scores every row.
_MAX_VALIDATION_ROWS = 8_192


@dataclass(frozen=True)
class TrainingContext:
    """What a training begins with, but for data and settings.

    `start` is "" for random weights, "pretrained", or the address of the release to go on from;
    the networks at `teachers`, named alike, are learnt from. The checkpoint is kept under
    `checkpoints` while the training runs; "" keeps it beside the model.
    """

    seed: int = 1
    start: str = ""
    checkpoints: str = ""
    teachers: tuple[str, ...] = ()


def train(
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    origin: TrainingContext,
    checkpoint: str,
) -> tuple[keras.Model, Progress]:
    """Train a network and return it in float32 with its best weights, and how the training went.

    Goes on from the checkpoint of the same training where there is one, and ends with the weights
    it would have had undisturbed. Stops early after `settings.patience` epochs without a better
    score on the validation split.

    Raises:
        InputError: the loss is not finite, or weights to start or learn from do not fit.
    """
    keras.utils.set_random_seed(origin.seed)
    with mixed_precision(settings.precision):
        resumed = checkpoints.load(checkpoint)
        if resumed:
            progress, network = resumed
            print(f"resuming after epoch {progress.epoch} of {settings.epochs}", flush=True)
        else:
            progress, network = Progress(), _begun(objective, faces, settings, origin.start)
        _train_epochs(network, progress, objective, faces, settings, origin, checkpoint)
    trained = build(spec_for(faces.info, settings))
    checkpoints.load_best_weights(checkpoint, progress, trained)
    return trained, progress


def _begun(
    objective: Objective, faces: Faces, settings: TrainingSettings, start: str
) -> keras.Model:
    described = spec_for(faces.info, settings)
    network = build(described)
    if start:
        print(
            load_initial_weights(network, described, weights_uri(start, described.kind)), flush=True
        )
    return compiled(network, objective, settings, steps_per_epoch(faces, settings.batch_size))


def compiled(
    network: keras.Model, objective: Objective, settings: TrainingSettings, steps: int
) -> keras.Model:
    """The network with its loss and optimizer; `steps` are those of an epoch."""
    # XLA is the slower way on a CPU (measured: 580 against 672 images a second).
    on_accelerator = keras.backend.backend() == "jax"
    network.compile(_optimizer(settings, steps), loss=objective.loss, jit_compile=on_accelerator)
    return network


def validation_rows(faces: Faces) -> Rows:
    """What an epoch is chosen by: the validation split, or as much of it as that takes."""
    return faces.take(faces.positions(VALIDATION)[:_MAX_VALIDATION_ROWS])


def _train_epochs(
    network: keras.Model,
    progress: Progress,
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    origin: TrainingContext,
    checkpoint: str,
) -> None:
    steps = steps_per_epoch(faces, settings.batch_size)
    validation = validation_rows(faces)
    teachers = load_teachers(origin.teachers, spec_for(faces.info, settings))
    started = time.monotonic()
    first = progress.epoch
    while not _finished(progress, settings):
        epoch_started = time.monotonic()
        batches = epoch_batches(faces, objective, settings, origin.seed, progress.epoch)
        batches = with_teacher_targets(batches, teachers, settings.distillation)
        fitted = network.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
        score = objective.score(run_in_batches(network, validation.images), validation.targets)
        best = _note_epoch(
            progress, objective, fitted.history["loss"][0], score, time.monotonic() - epoch_started
        )
        checkpoints.save(checkpoint, progress, network, best)
        print(_line(progress, objective, settings, time.monotonic() - started, first), flush=True)


def _optimizer(settings: TrainingSettings, steps: int) -> optimizers.Optimizer:
    """AdamW (arXiv:1711.05101) under a cosine schedule with warm-up (arXiv:1608.03983)."""
    total = steps * settings.epochs
    warmup = max(1, round(settings.warmup * total))
    schedule = optimizers.schedules.CosineDecay(
        settings.learning_rate / 100,
        decay_steps=max(1, total - warmup),
        warmup_target=settings.learning_rate,
        warmup_steps=warmup,
    )
    return optimizers.AdamW(schedule, weight_decay=settings.weight_decay)


def _finished(progress: Progress, settings: TrainingSettings) -> bool:
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= settings.epochs or waited >= settings.patience


def _note_epoch(
    progress: Progress, objective: Objective, loss: float, score: float, seconds: float
) -> bool:
    progress.epoch += 1
    if not (np.isfinite(loss) and np.isfinite(score)):
        raise InputError(
            f"training diverged: loss {loss}, {objective.score_name} {score} in epoch "
            f"{progress.epoch}; lower the learning_rate or check the data report"
        )
    progress.history.append(
        {"epoch": progress.epoch, "loss": loss, "score": score, "seconds": round(seconds, 2)}
    )
    best = objective.better(score, progress.best_score)
    if best:
        progress.best_epoch, progress.best_score = progress.epoch, score
    return best


def _line(
    progress: Progress,
    objective: Objective,
    settings: TrainingSettings,
    seconds: float,
    first: int,
) -> str:
    last = progress.history[-1]
    left = seconds / (progress.epoch - first) * (settings.epochs - progress.epoch)
    return (
        f"epoch {progress.epoch}/{settings.epochs}  loss {last['loss']:.4f}  "
        f"{objective.score_name} {last['score']:.4f}  best {progress.best_score:.4f}  "
        f"{last['seconds']:.0f} s, at most {left:.0f} s left"
    )
