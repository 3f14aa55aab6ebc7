"""Train on faces from disk and write the artifacts: model, history and learning curves."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import TRAIN, Faces, Rows
from emotion_ai.html_page import COLOURS, Section, figure_html, table_html, write_page
from emotion_ai.networks import checkpoints
from emotion_ai.networks.answers import only_bank, read_bank
from emotion_ai.networks.calibration import calibrate, favour_rare
from emotion_ai.networks.checkpoints import Progress
from emotion_ai.networks.inference import MODEL_FILE, run_in_batches
from emotion_ai.networks.machine import machine_name
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext, train, validation_rows
from emotion_ai.networks.weights import (
    WEIGHTS_FILE,
    pack_weights,
    read_weights,
    round_to_float16,
    spec_for,
    weights_uri,
)
from emotion_ai.storage.atomic_files import remove_on_failure


def open_faces(path: str, kind: str) -> Faces:
    """Open faces of a given kind.

    Raises:
        InputError: The folder is not a faces artifact, or its faces are of the other kind.
    """
    faces = Faces(path)
    if faces.info.kind != kind:
        raise InputError(f"{path}: faces of kind {faces.info.kind}; expected {kind}")
    return faces


def train_to_artifacts(
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    context: TrainingContext,
    outputs: dict[str, str],
) -> dict[str, float]:
    """Train a network and write its artifacts.

    Resumes from the checkpoint of an interrupted training with the same data, settings, context
    and code revision (`EMOTION_AI_REVISION`). The checkpoint is removed once the artifacts are
    complete.

    Args:
        objective: The loss and the score.
        faces: Prepared faces.
        settings: The network's shape and the training's schedule.
        context: Seed, initial weights, teachers and the folder of the checkpoints.
        outputs: Paths of the artifacts: "model" (a folder), "history" (JSON), "curves" (HTML).

    Returns:
        The numbers that KFP shows of the training, by plain names.

    Raises:
        InputError: The training diverged, or the weights to start or learn from do not fit.
        Unavailable: An artifact or the checkpoint cannot be written.
    """
    model = Path(outputs["model"])
    root = context.checkpoints or str(model.parent / "checkpoints")
    revision = os.environ.get("EMOTION_AI_REVISION", "")
    key: tuple[int | str, ...] = (context.seed, context.start, *context.teachers, revision)
    uri = checkpoints.checkpoint_uri(root, faces.info, settings, key)
    network, progress = train(objective, faces, settings, context, uri)
    history = _history(network, progress, objective, settings, context)
    validation = validation_rows(faces)
    if faces.info.labels:
        codes = faces.column("targets")[faces.positions(TRAIN)]
        weight = np.bincount(codes, objective.encode(codes)[1], len(faces.info.labels))
        # Weights that were taken as they are have been adjusted by their own training.
        favour_rare(network, weight, settings.logit_adjustment if settings.epochs else 0)
        history["temperature"] = calibrate(network, validation)
    history |= _round_weights(network, objective, validation)
    spec = spec_for(faces.info, settings, _training_record(history, faces, context))
    packed = pack_weights(spec, network.get_weights())
    with remove_on_failure(model, outputs["history"], outputs["curves"]):
        with storage.translate_errors(str(model)):
            model.mkdir(parents=True, exist_ok=True)
            network.save(model / MODEL_FILE)
        storage.write_bytes(str(model / WEIGHTS_FILE), packed)
        storage.write_bytes(outputs["history"], json.dumps(history, indent=1).encode() + b"\n")
        _write_curves(outputs["curves"], history, faces)
    checkpoints.clear(uri)
    return _headlines(history)


def _headlines(history: dict[str, Any]) -> dict[str, float]:
    score = history["score_name"].lower().replace(" ", "_")
    summary = _training_summary(history)
    numbers = ("best_epoch", "epochs", "seconds", "parameters")
    return {f"validation_{score}": float(history["best_score"])} | {
        name: float(summary[name]) for name in numbers
    }


def _round_weights(
    network: keras.Model, objective: Objective, validation: Rows
) -> dict[str, float]:
    """Round the network to the precision of weights.npz; return its score before and after."""

    def score() -> float:
        return objective.score(run_in_batches(network, validation.images), validation.targets)

    before = score()
    network.set_weights(round_to_float16(network.get_weights()))
    return {"score_float32": before, "score_float16": score()}


def _history(
    network: keras.Model,
    progress: Progress,
    objective: Objective,
    settings: TrainingSettings,
    context: TrainingContext,
) -> dict[str, Any]:
    return {
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "score_name": objective.score_name,
        "epochs": progress.history,
        "parameters": network.count_params(),
        "seed": context.seed,
        "start": context.start,
        **_lessons(context.teachers),
        "settings": settings.model_dump(mode="json"),
        "backend": keras.backend.backend(),
        "machine": machine_name(),
    }


def _lessons(teachers: Sequence[str]) -> dict[str, Any]:
    """Say who taught: the teachers themselves, also where they answered in a bank."""
    bank = only_bank(teachers)
    if not bank:
        return {"teachers": list(teachers)}
    info, answers, sha256 = read_bank(bank)
    return {
        "teachers": [teacher.name for teacher in info.teachers],
        "answers": {
            "sha256": sha256,
            "epochs": len(answers),
            "teachers": [teacher.model_dump(exclude={"name"}) for teacher in info.teachers],
        },
    }


def _training_summary(history: dict[str, Any]) -> dict[str, Any]:
    """Summarise the epochs of a history, for the model card."""
    return history | {
        "epochs": len(history["epochs"]),
        "seconds": sum(epoch["seconds"] for epoch in history["epochs"]),
    }


def _training_record(
    history: dict[str, Any], faces: Faces, context: TrainingContext
) -> dict[str, Any]:
    """Say how a network was trained; weights that were taken as they are keep their record."""
    summary = _training_summary(history)
    if history["epochs"]:
        return summary
    source = weights_uri(context.start, faces.info.kind)
    measured = ("best_score", "score_name", "temperature", "score_float32", "score_float16")
    scores = {name: summary[name] for name in measured if name in summary}
    return summary | read_weights(source)[0].training | scores | {"taken_from": context.start}


def _write_curves(path: str, history: dict[str, Any], faces: Faces) -> None:
    epochs = history["epochs"]
    tiles: list[tuple[str, object]] = [
        (f"best {history['score_name']}", f"{history['best_score']:.4g}"),
        ("parameters", f"{history['parameters']:,}"),
    ]
    sections = [Section("Settings", table_html(("setting", "value"), history["settings"].items()))]
    summary = f"Not trained: the weights of {history['start']}, scored on {faces.info.source}."
    if epochs:
        minutes = sum(e["seconds"] for e in epochs) / 60
        tiles += [
            ("best epoch", history["best_epoch"]),
            ("epochs", len(epochs)),
            ("training", f"{minutes:.1f} min"),
        ]
        sections.insert(0, _curves(history, faces.info.split_names[1]))
        summary = f"Trained on {faces.info.source}; the weights of the best epoch are kept."
    write_page(path, f"Learning curves: {faces.info.kind}", summary, tiles, sections)


def _curves(history: dict[str, Any], validation: str) -> Section:
    from matplotlib.figure import Figure

    epochs = [entry["epoch"] for entry in history["epochs"]]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [e["loss"] for e in history["epochs"]], color=COLOURS[0], marker=".")
    left.set(title="training loss (augmented faces)", xlabel="epoch")
    right.plot(epochs, [e["score"] for e in history["epochs"]], color=COLOURS[1], marker=".")
    right.axvline(history["best_epoch"], color=COLOURS[6], linestyle=":", label="best, kept")
    right.set(title=f"{history['score_name']} on {validation}", xlabel="epoch")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return Section("Curves", figure_html(figure, "loss and validation score by epoch"))
