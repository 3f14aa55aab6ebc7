"""Checkpoints of a training: after each epoch the whole state, complete or absent.

A checkpoint is a folder (local or gs://) with `state.json`, written last, and the two files that
it names: the network as it stands with its optimizer, and its best weights so far.
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
    """How far a training has come; `history` has one dict an epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def checkpoint_uri(
    root: str, info: FacesInfo, settings: TrainingSettings, key: tuple[int | str, ...]
) -> str:
    """Where the checkpoint of this very training lies; `key` is what it hangs on besides."""
    text = json.dumps([info.sha256, info.augmentation, settings.model_dump(), *key])
    return storage.join(root, f"{info.kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}")


def save(uri: str, progress: Progress, network: keras.Model, best: bool) -> None:
    """Write the state after an epoch; `best` says that its weights are the best so far."""
    progress.files["latest"] = f"latest-{progress.epoch:05d}.keras"
    with tempfile.TemporaryDirectory() as folder, storage.translate_errors(folder):
        file = Path(folder, progress.files["latest"])
        network.save(file)
        storage.write_bytes(storage.join(uri, file.name), file.read_bytes())
        if best:
            progress.files["best"] = f"best-{progress.epoch:05d}.weights.h5"
            file = Path(folder, progress.files["best"])
            network.save_weights(file)
            storage.write_bytes(storage.join(uri, file.name), file.read_bytes())
    storage.write_bytes(storage.join(uri, _STATE), json.dumps(asdict(progress)).encode())
    # Whatever else is there is of earlier epochs, or was left by a training that was killed.
    for name in set(storage.list_names(uri)) - {_STATE, *progress.files.values()}:
        storage.remove(storage.join(uri, name))


def load(uri: str) -> tuple[Progress, keras.Model] | None:
    """The state to go on from, with its compiled network; None where no epoch was finished."""
    try:
        state = storage.read_bytes(storage.join(uri, _STATE), _MAX_STATE_BYTES)
    except storage.NotFound:
        return None
    progress = Progress(**json.loads(state))
    with tempfile.TemporaryDirectory() as folder:
        file = _fetched(uri, progress.files["latest"], folder)
        network = keras.saving.load_model(file)
    return progress, network


def load_best_weights(uri: str, progress: Progress, network: keras.Model) -> None:
    """Give the network the weights of its best epoch."""
    with tempfile.TemporaryDirectory() as folder:
        network.load_weights(_fetched(uri, progress.files["best"], folder))


def clear(uri: str) -> None:
    """Remove the checkpoint of a finished training, `state.json` first."""
    for name in [_STATE, *storage.list_names(uri)]:
        storage.remove(storage.join(uri, name))


def _fetched(uri: str, name: str, folder: str) -> Path:
    file = Path(folder, name)
    storage.download(storage.join(uri, name), file)
    return file
