"""The training loop, in Keras 3 only, so that it runs on TensorFlow, JAX or PyTorch."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np
from keras import optimizers
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import VALIDATION, Faces, Rows
from emotion_ai.networks import checkpoints
from emotion_ai.networks.architectures import build_network
from emotion_ai.networks.batches import steps_per_epoch
from emotion_ai.networks.checkpoints import Progress
from emotion_ai.networks.distillation import taught_batches
from emotion_ai.networks.inference import run_in_batches
from emotion_ai.networks.machine import mixed_precision
from emotion_ai.networks.mixup import Batch
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import (
    check_complete_start,
    load_initial_weights,
    spec_for,
    weights_uri,
)

# Enough rows to choose an epoch by; the evaluation scores every row.
_MAX_VALIDATION_ROWS = 8_192


@dataclass(frozen=True)
class TrainingContext:
    """The inputs of a training besides data and settings.

    Attributes:
        seed: Determines initial weights, order and augmentation.
        start: Where the initial weights come from: "" for random ones, "pretrained", or the URI of
            a release.
        checkpoints: The folder of the checkpoints; "" is a folder beside the model.
        teachers: Releases to learn from, "pretrained" or a URI each; or one answer bank.
    """

    seed: int = 1
    start: str = ""
    checkpoints: str = ""
    teachers: tuple[str, ...] = ()


def train(
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    context: TrainingContext,
    checkpoint: str,
) -> tuple[keras.Model, Progress]:
    """Train a network, resuming from its checkpoint if there is one.

    A resumed training ends with the weights of an uninterrupted one. Training stops early after
    `settings.patience` epochs without a better score on the validation split. With 0 epochs the
    network keeps the weights that it starts from.

    Args:
        objective: The loss and the score.
        faces: Prepared faces.
        settings: The network's shape and the training's schedule.
        context: Seed, initial weights and teachers.
        checkpoint: URI of this training's checkpoint; see `checkpoints.checkpoint_uri`.

    Returns:
        The network in float32 with the weights of its best epoch, and the training's progress.

    Raises:
        InputError: The loss is not finite, or the weights to start or learn from do not fit.
    """
    if not settings.epochs:
        return _take_weights(objective, faces, settings, context.start)
    keras.utils.set_random_seed(context.seed)
    with mixed_precision(settings.precision):
        resumed = _load_checkpoint(checkpoint)
        if resumed:
            progress, network = resumed
            print(f"resuming after epoch {progress.epoch} of {settings.epochs}", flush=True)
        else:
            progress = Progress()
            network = _create_network(objective, faces, settings, context.start)
        _train_epochs(network, progress, objective, faces, settings, context, checkpoint)
    best = build_network(spec_for(faces.info, settings))
    best.set_weights(progress.best_weights)
    return best, progress


def compile_network(
    network: keras.Model, objective: Objective, settings: TrainingSettings
) -> keras.Model:
    """Compile a network with its loss and AdamW (https://arxiv.org/abs/1711.05101).

    Args:
        network: The network; it is changed.
        objective: Its loss.
        settings: Its `weight_decay`.

    Returns:
        The same network.
    """
    # The rate is set before each batch. From a schedule of Keras' in the graph, AdamW would compute
    # it once for each array of weights.
    optimizer = optimizers.AdamW(0.0, weight_decay=settings.weight_decay)
    # XLA is slower on a CPU (measured: 580 images a second with it, 672 without).
    use_xla = keras.backend.backend() == "jax"
    network.compile(optimizer, loss=objective.loss, jit_compile=use_xla)
    # With its variables made, TensorFlow traces the first step once and not twice.
    optimizer.build(network.trainable_variables)
    return network


def train_epoch(network: keras.Model, batches: Iterable[Batch], rates: Iterable[float]) -> float:
    """Train on each batch, one by one.

    Keras' `fit` would hand the arrays to a pipeline of TensorFlow's, which costs more than it
    brings (measured: a step of the sample 103 ms with it, 67 without), and wait a second for its
    end after each epoch.

    Args:
        network: A compiled network; it is trained.
        batches: The epoch's batches.
        rates: The learning rate of each batch.

    Returns:
        The mean loss.
    """
    losses = []
    for batch, rate in zip(batches, rates, strict=False):
        network.optimizer.learning_rate = rate
        losses.append(network.train_on_batch(*batch))
    return float(np.mean(losses))


def learning_rates(settings: TrainingSettings, steps: int, epoch: int) -> NDArray:
    """Return the learning rates of an epoch: a warm-up and a cosine (arXiv:1608.03983).

    Args:
        settings: Its `learning_rate`, `warmup` and `epochs`.
        steps: Batches in an epoch.
        epoch: The epoch's number, from 0.

    Returns:
        float64 [steps].
    """
    total = steps * settings.epochs
    warmup = max(1, round(settings.warmup * total))
    step = np.arange(epoch * steps, (epoch + 1) * steps)
    rising = 0.01 + 0.99 * step / warmup
    falling = 0.5 + 0.5 * np.cos(np.pi * (step - warmup) / max(1, total - warmup))
    return settings.learning_rate * np.where(step < warmup, rising, falling)


def validation_rows(faces: Faces) -> Rows:
    """Load the rows that epochs are scored on: the validation split, or its first 8,192 rows."""
    return faces.take(faces.positions(VALIDATION)[:_MAX_VALIDATION_ROWS])


def _take_weights(
    objective: Objective, faces: Faces, settings: TrainingSettings, start: str
) -> tuple[keras.Model, Progress]:
    spec = spec_for(faces.info, settings)
    check_complete_start(start, spec.kind, spec.labels)
    network = build_network(spec)
    print(load_initial_weights(network, spec, weights_uri(start, spec.kind)), flush=True)
    rows = validation_rows(faces)
    score = objective.score(run_in_batches(network, rows.images), rows.targets)
    return network, Progress(best_score=score)


def _load_checkpoint(uri: str) -> tuple[Progress, keras.Model] | None:
    try:
        return checkpoints.load(uri)
    except checkpoints.DamagedCheckpoint as damage:
        print(f"starting anew: the checkpoint is damaged: {damage}", flush=True)
        return None


def _create_network(
    objective: Objective, faces: Faces, settings: TrainingSettings, start: str
) -> keras.Model:
    spec = spec_for(faces.info, settings)
    network = build_network(spec)
    if start:
        print(load_initial_weights(network, spec, weights_uri(start, spec.kind)), flush=True)
    return compile_network(network, objective, settings)


def _train_epochs(
    network: keras.Model,
    progress: Progress,
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    context: TrainingContext,
    checkpoint: str,
) -> None:
    steps = steps_per_epoch(faces, settings.batch_size)
    validation = validation_rows(faces)
    batches = taught_batches(faces, objective, settings, context.seed, context.teachers)
    started = time.monotonic()
    resumed_after = progress.epoch
    while not _is_finished(progress, settings):
        epoch_started = time.monotonic()
        rates = learning_rates(settings, steps, progress.epoch)
        loss = train_epoch(network, batches(progress.epoch), rates)
        score = objective.score(run_in_batches(network, validation.images), validation.targets)
        epoch_seconds = time.monotonic() - epoch_started
        _record_epoch(progress, objective, loss, score, epoch_seconds)
        checkpoints.save(checkpoint, progress, network)
        seconds_per_epoch = (time.monotonic() - started) / (progress.epoch - resumed_after)
        print(_progress_line(progress, objective, settings, seconds_per_epoch), flush=True)


def _is_finished(progress: Progress, settings: TrainingSettings) -> bool:
    epochs_without_improvement = progress.epoch - progress.best_epoch
    return progress.epoch >= settings.epochs or epochs_without_improvement >= settings.patience


def _record_epoch(
    progress: Progress, objective: Objective, loss: float, score: float, seconds: float
) -> None:
    progress.epoch += 1
    if not (np.isfinite(loss) and np.isfinite(score)):
        raise InputError(
            f"training diverged: loss {loss}, {objective.score_name} {score} in epoch "
            f"{progress.epoch}; lower the learning_rate or check the data report"
        )
    progress.history.append(
        {"epoch": progress.epoch, "loss": loss, "score": score, "seconds": round(seconds, 2)}
    )
    if objective.is_better(score, progress.best_score):
        progress.best_epoch, progress.best_score = progress.epoch, score


def _progress_line(
    progress: Progress,
    objective: Objective,
    settings: TrainingSettings,
    seconds_per_epoch: float,
) -> str:
    last = progress.history[-1]
    remaining = seconds_per_epoch * (settings.epochs - progress.epoch)
    return (
        f"epoch {progress.epoch}/{settings.epochs}  loss {last['loss']:.4f}  "
        f"{objective.score_name} {last['score']:.4f}  best {progress.best_score:.4f}  "
        f"{last['seconds']:.0f} s, at most {remaining:.0f} s left"
    )
