"""Checkpoints of a training: its whole state after each epoch, complete or absent.

A checkpoint is a folder (local or gs://) with `state.json`, written last, and the two files that it
names: the latest network with its optimizer, and the best weights so far.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras

from emotion_ai import storage
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.networks.settings import TrainingSettings

_STATE = "state.json"
_MAX_STATE_BYTES = 16 << 20


@dataclass
class Progress:
    """The progress of a training, as it is in state.json.

    Attributes:
        epoch: Epochs completed.
        best_epoch: The epoch with the best validation score, from 1.
        best_score: Its score.
        history: One entry an epoch: epoch, loss, score, seconds.
        files: Names of the "latest" and the "best" file of the checkpoint.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def checkpoint_uri(
    root: str, info: FacesInfo, settings: TrainingSettings, key: tuple[int | str, ...]
) -> str:
    """Return the address of a training's checkpoint, unique to its inputs.

    Args:
        root: The folder of all checkpoints.
        info: The faces to train on.
        settings: The training's settings.
        key: Everything else that determines the result: seed, initial weights, code revision.
    """
    text = json.dumps([info.sha256, info.augmentation, settings.model_dump(), *key])
    return storage.join(root, f"{info.kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}")


def save(uri: str, progress: Progress, network: keras.Model) -> None:
    """Write the state after an epoch, with the best weights if this epoch is the best so far.

    Files of earlier epochs are removed, and `progress.files` is updated.

    Raises:
        Unavailable: The checkpoint or the temporary folder cannot be written; the previous
            checkpoint stays intact.
    """
    progress.files["latest"] = f"latest-{progress.epoch:05d}.keras"
    with tempfile.TemporaryDirectory() as folder, storage.translate_errors(folder):
        file = Path(folder, progress.files["latest"])
        network.save(file)
        storage.write_bytes(storage.join(uri, file.name), file.read_bytes())
        if progress.epoch == progress.best_epoch:
            progress.files["best"] = f"best-{progress.epoch:05d}.weights.h5"
            file = Path(folder, progress.files["best"])
            network.save_weights(file)
            storage.write_bytes(storage.join(uri, file.name), file.read_bytes())
    storage.write_bytes(storage.join(uri, _STATE), json.dumps(asdict(progress)).encode())
    # All other files are from earlier epochs, or from a training that was killed.
    for name in set(storage.list_names(uri)) - {_STATE, *progress.files.values()}:
        storage.remove(storage.join(uri, name))


def load(uri: str) -> tuple[Progress, keras.Model] | None:
    """Load the state to resume from, with the compiled network; None if there is no checkpoint."""
    try:
        state = storage.read_bytes(storage.join(uri, _STATE), _MAX_STATE_BYTES)
    except storage.NotFound:
        return None
    progress = Progress(**json.loads(state))
    with tempfile.TemporaryDirectory() as folder:
        network = keras.saving.load_model(_download(uri, progress.files["latest"], folder))
    return progress, network


def load_best_weights(uri: str, progress: Progress, network: keras.Model) -> None:
    """Load the weights of the best epoch into the network."""
    with tempfile.TemporaryDirectory() as folder:
        network.load_weights(_download(uri, progress.files["best"], folder))


def clear(uri: str) -> None:
    """Remove the checkpoint of a finished training, `state.json` first."""
    for name in [_STATE, *storage.list_names(uri)]:
        storage.remove(storage.join(uri, name))


def _download(uri: str, name: str, folder: str) -> Path:
    file = Path(folder, name)
    storage.download(storage.join(uri, name), file)
    return file
