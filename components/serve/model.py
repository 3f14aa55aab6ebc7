"""A SavedModel in memory: fetched, verified, loaded and warmed up. Imports TensorFlow."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components import storage
from components.errors import BadInput
from components.registry.releases import (
    GRAPH_PATH,
    INFO_PATH,
    WARMUP_PATH,
    read_release,
    release_uri,
    verify_release,
)
from components.registry.warmup import read_golden
from components.serve.prediction import predict


@dataclass(frozen=True)
class LoadedModel:
    """A SavedModel's callable signatures and their SignatureDef messages, both by name."""

    signatures: dict[str, Callable[..., dict[str, Any]]]
    signature_defs: dict[str, Any]
    # What has to live as long as the signatures do.
    holds: tuple[Any, ...]


def load_model(base_path: str, version: int) -> LoadedModel:
    """Load `<base_path>/<version>` and replay its warm-up requests.

    A release's files are compared with its release.json first; a SavedModel without one is taken
    as it is, as TensorFlow Serving takes it. Raises `BadInput` naming what is missing or altered,
    and whatever TensorFlow raises.
    """
    uri = release_uri(base_path, version)
    if not storage.exists(storage.join(uri, GRAPH_PATH)):
        raise BadInput(f"{uri}: no {GRAPH_PATH} there")
    if storage.is_remote(base_path):
        scratch = tempfile.TemporaryDirectory(prefix="emotion-ai-release-")
        _download(base_path, version, Path(scratch.name))
        model = _load(scratch.name, version, holds=(scratch,))
    else:
        model = _load(str(storage.local_path(base_path)), version, holds=())
    return model


def _load(base_path: str, version: int, holds: tuple[Any, ...]) -> LoadedModel:
    path = Path(base_path) / str(version)
    if (path / INFO_PATH).exists():
        verify_release(base_path, version)
    loaded = tf.saved_model.load(str(path))
    model = LoadedModel(dict(loaded.signatures), _signature_defs(path), (loaded, *holds))
    if (path / WARMUP_PATH).exists():
        for log in read_golden(str(path / WARMUP_PATH)):
            if log.HasField("predict_log"):
                predict(model, log.predict_log.request)
    return model


def _signature_defs(path: Path) -> dict[str, Any]:
    saved_model = saved_model_pb2.SavedModel.FromString((path / GRAPH_PATH).read_bytes())
    for graph in saved_model.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise BadInput(f"{path}: no graph is tagged 'serve'")


def _download(base_path: str, version: int, directory: Path) -> None:
    source = release_uri(base_path, version)
    for name in (INFO_PATH, *read_release(base_path, version).files):
        target = directory / str(version) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        storage.download(storage.join(source, name), target)
