"""A training from faces on disk to artifacts: the network, its history and its learning curves."""

import json
import os
from pathlib import Path
from typing import Any

import keras

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces, Rows
from emotion_ai.html_page import COLOURS, Section, figure_html, table_html, write_page
from emotion_ai.networks import checkpoints
from emotion_ai.networks.calibration import calibrate
from emotion_ai.networks.checkpoints import Progress
from emotion_ai.networks.inference import MODEL_FILE, run_in_batches
from emotion_ai.networks.machine import machine_name
from emotion_ai.networks.objectives import Objective
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.training import TrainingContext, train, validation_rows
from emotion_ai.networks.weights import WEIGHTS_FILE, pack, round_to_float16, spec_for
from emotion_ai.storage.atomic_files import remove_on_failure


def open_faces(path: str, kind: str) -> Faces:
    """Faces of a kind. Raises `InputError` for those of the other."""
    faces = Faces(path)
    if faces.info.kind != kind:
        raise InputError(f"{path}: faces of kind {faces.info.kind}; expected {kind}")
    return faces


def train_to_artifacts(
    objective: Objective,
    faces: Faces,
    settings: TrainingSettings,
    origin: TrainingContext,
    outputs: dict[str, str],
) -> None:
    """Train and write `outputs`: model (a folder), history (JSON) and curves (HTML).

    The checkpoint goes when the artifacts are complete.
    """
    model = Path(outputs["model"])
    root = origin.checkpoints or str(model.parent / "checkpoints")
    revision = os.environ.get("EMOTION_AI_REVISION", "")
    key: tuple[int | str, ...] = (origin.seed, origin.start, *origin.teachers, revision)
    uri = checkpoints.checkpoint_uri(root, faces.info, settings, key)
    network, progress = train(objective, faces, settings, origin, uri)
    record = _record(network, progress, objective, settings, origin)
    validation = validation_rows(faces)
    if faces.info.labels:
        record["temperature"] = calibrate(network, validation)
    record |= _round(network, objective, validation)
    packed = pack(spec_for(faces.info, settings, _summary(record)), network.get_weights())
    with remove_on_failure(model, outputs["history"], outputs["curves"]):
        with storage.translate_errors(str(model)):
            model.mkdir(parents=True, exist_ok=True)
            network.save(model / MODEL_FILE)
        storage.write_bytes(str(model / WEIGHTS_FILE), packed)
        storage.write_bytes(outputs["history"], json.dumps(record, indent=1).encode() + b"\n")
        _write_curves(outputs["curves"], record, faces)
    checkpoints.clear(uri)


def _round(network: keras.Model, objective: Objective, validation: Rows) -> dict[str, float]:
    """Round the network to what is shipped of it; its validation score before and after."""

    def score() -> float:
        return objective.score(run_in_batches(network, validation.images), validation.targets)

    before = score()
    network.set_weights(round_to_float16(network.get_weights()))
    return {"score_float32": before, "score_float16": score()}


def _record(
    network: keras.Model,
    progress: Progress,
    objective: Objective,
    settings: TrainingSettings,
    origin: TrainingContext,
) -> dict[str, Any]:
    return {
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "score_name": objective.score_name,
        "epochs": progress.history,
        "parameters": network.count_params(),
        "seed": origin.seed,
        "start": origin.start,
        "teachers": list(origin.teachers),
        "settings": settings.model_dump(mode="json"),
        "backend": keras.backend.backend(),
        "machine": machine_name(),
    }


def _summary(record: dict[str, Any]) -> dict[str, Any]:
    """A training in a few numbers: what the model card says of it."""
    return record | {
        "epochs": len(record["epochs"]),
        "seconds": sum(epoch["seconds"] for epoch in record["epochs"]),
    }


def _write_curves(path: str, record: dict[str, Any], faces: Faces) -> None:
    from matplotlib.figure import Figure

    epochs = [entry["epoch"] for entry in record["epochs"]]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [e["loss"] for e in record["epochs"]], color=COLOURS[0], marker=".")
    left.set(title="training loss (augmented faces)", xlabel="epoch")
    right.plot(epochs, [e["score"] for e in record["epochs"]], color=COLOURS[1], marker=".")
    right.axvline(record["best_epoch"], color=COLOURS[6], linestyle=":", label="best, kept")
    right.set(title=f"{record['score_name']} on {faces.info.split_names[1]}", xlabel="epoch")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    seconds = sum(e["seconds"] for e in record["epochs"])
    tiles = [
        (f"best {record['score_name']}", f"{record['best_score']:.4g}"),
        ("best epoch", record["best_epoch"]),
        ("epochs", len(epochs)),
        ("parameters", f"{record['parameters']:,}"),
        ("training", f"{seconds / 60:.1f} min"),
    ]
    write_page(
        path,
        f"Learning curves: {faces.info.kind}",
        f"Trained on {faces.info.source}; the weights of the best epoch are kept.",
        tiles,
        [
            Section("Curves", figure_html(figure, "loss and validation score by epoch")),
            Section("Settings", table_html(("setting", "value"), record["settings"].items())),
        ],
    )
