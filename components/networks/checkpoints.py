"""Checkpoints of a training: its whole state after each epoch, complete or absent.

A checkpoint is a folder (local or gs://) with `state.json`, written last, and the two files that it
names: the latest network with its optimizer, and the best weights so far. Trainings of the same
inputs share it: another one may replace or remove it at any time.
"""

import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError, one_line
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.settings import StrictModel
from emotion_ai.storage.array_files import unpack_arrays

_STATE = "state.json"
_MAX_STATE_BYTES = 16 << 20
_MAX_FILE_BYTES = 1 << 30
_MAX_REASON = 200
_EPOCH_KEYS = {"epoch", "loss", "score", "seconds"}


class CheckpointFile(StrictModel):
    """A file of a checkpoint, by its name and the SHA-256 of its content."""

    name: Annotated[str, AfterValidator(storage.check_inner_path)]
    sha256: str


class Progress(StrictModel):
    """The progress of a training, as it is in state.json.

    Attributes:
        epoch: Epochs completed.
        best_epoch: The epoch with the best validation score, from 1.
        best_score: Its score.
        history: One entry an epoch: epoch, loss, score, seconds.
        files: The "latest" and the "best" file of the checkpoint.
        best_weights: The weights of the best epoch, for `network.set_weights`; in a file of their
            own.
    """

    model_config = ConfigDict(frozen=False)

    epoch: int = Field(0, ge=0)
    best_epoch: int = Field(0, ge=0)
    best_score: float | None = None
    history: list[dict[str, int | float]] = []
    files: dict[Literal["latest", "best"], CheckpointFile] = {}
    best_weights: list[Any] = Field([], exclude=True)


class DamagedCheckpoint(InputError):
    """A checkpoint from which no training can go on."""


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

    Files of earlier epochs are removed, and `progress` is updated.

    Raises:
        Unavailable: The checkpoint or the temporary folder cannot be written; the previous
            checkpoint stays intact.
    """
    latest = f"latest-{progress.epoch:05d}.keras"
    with tempfile.TemporaryDirectory() as folder, storage.translate_errors(folder):
        file = Path(folder, latest)
        network.save(file)
        progress.files["latest"] = _write(uri, latest, file.read_bytes())
    if progress.epoch == progress.best_epoch:
        progress.best_weights = network.get_weights()
        name = f"best-{progress.epoch:05d}.npz"
        progress.files["best"] = _write(uri, name, _pack(progress.best_weights))
    storage.write_bytes(storage.join(uri, _STATE), progress.model_dump_json().encode())
    # All other files are from earlier epochs, or from a training that was killed.
    kept = {_STATE, *(file.name for file in progress.files.values())}
    for name in set(_names(uri)) - kept:
        storage.remove(storage.join(uri, name))


def load(uri: str) -> tuple[Progress, keras.Model] | None:
    """Load the state to resume from, with the compiled network; None if there is no checkpoint.

    Raises:
        DamagedCheckpoint: There is one, but it is damaged or another training has removed files.
        Unavailable: The storage or the temporary folder failed.
    """
    try:
        progress = _read_state(uri)
    except storage.NotFound:
        return None
    try:
        packed = _read(uri, progress.files["best"])
        network = _load_network(_read(uri, progress.files["latest"]))
        arrays = unpack_arrays(packed, _MAX_FILE_BYTES)
    except (InputError, ValueError) as error:
        raise DamagedCheckpoint(f"{uri}: {error}") from None
    progress.best_weights = [arrays[name] for name in sorted(arrays)]
    if _shapes(progress.best_weights) != _shapes(network.get_weights()):
        raise DamagedCheckpoint(f"{uri}: the best weights are those of another network")
    return progress, network


def clear(uri: str) -> None:
    """Remove the checkpoint of a finished training, `state.json` first."""
    for name in [_STATE, *_names(uri)]:
        storage.remove(storage.join(uri, name))


def _names(uri: str) -> list[str]:
    """The files of a checkpoint, but for the temporary ones that another training writes."""
    return [name for name in storage.list_names(uri) if not name.startswith(".")]


def _read_state(uri: str) -> Progress:
    try:
        text = storage.read_bytes(storage.join(uri, _STATE), _MAX_STATE_BYTES)
        progress = Progress.model_validate_json(text)
    except storage.NotFound:
        raise
    except (InputError, ValidationError) as error:
        raise DamagedCheckpoint(f"{uri}/{_STATE}: {one_line(error)[:_MAX_REASON]}") from None
    is_complete = (
        len(progress.files) == len(("latest", "best"))
        and progress.best_score is not None
        and 1 <= progress.best_epoch <= progress.epoch == len(progress.history)
        and all(set(entry) == _EPOCH_KEYS for entry in progress.history)
    )
    if not is_complete:
        raise DamagedCheckpoint(f"{uri}/{_STATE}: is not the state after an epoch")
    return progress


def _load_network(content: bytes) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "latest.keras")
        with storage.translate_errors(folder):
            file.write_bytes(content)
        try:
            return keras.saving.load_model(file)
        except Exception as error:
            # Keras and HDF5 raise anything, for a file of another version too.
            reason = one_line(error)[:_MAX_REASON]
            raise DamagedCheckpoint(f"{type(error).__name__}: {reason}") from None


def _pack(weights: list[NDArray]) -> bytes:
    arrays: dict[str, Any] = {f"{k:04}": w for k, w in enumerate(weights)}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _write(uri: str, name: str, content: bytes) -> CheckpointFile:
    storage.write_bytes(storage.join(uri, name), content)
    return CheckpointFile(name=name, sha256=hashlib.sha256(content).hexdigest())


def _read(uri: str, file: CheckpointFile) -> bytes:
    content = storage.read_bytes(storage.join(uri, file.name), _MAX_FILE_BYTES)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise DamagedCheckpoint(f"{file.name} is not the file that {_STATE} names")
    return content


def _shapes(weights: list[NDArray]) -> list[tuple[int, ...]]:
    return [w.shape for w in weights]
