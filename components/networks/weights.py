"""Weights apart from code: one small file a network, which a training can start from.

An .npz with the weights in the network's order, kernels as float16 and all else as float32, and
`about`, what is needed to build the network around them. It lies in every model artifact, in every
release (`assets.extra/networks/KIND.npz`) and, for the pretrained networks, in this package.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.kinds import KindName, former_names
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.settings import StrictModel

WEIGHTS_FILE = "weights.npz"
PRETRAINED = "pretrained"
_SHIPPED = Path(__file__).parent / "pretrained"
_MAX_BYTES = 64 << 20


class NetworkSpec(StrictModel):
    """What a network is built from; it normalises pixels with `mean` and `deviation`."""

    kind: KindName
    settings: TrainingSettings
    image_size: int
    mean: float
    deviation: float
    label_set: str
    labels: tuple[str, ...]
    # How it was trained, for the model card: epochs, seconds, machine and so on.
    training: dict[str, Any] = {}


def spec_for(
    info: FacesInfo, settings: TrainingSettings, training: dict[str, Any] | None = None
) -> NetworkSpec:
    """What a network trained on these faces is built from."""
    fields = info.model_dump(include=set(NetworkSpec.model_fields) - {"settings", "training"})
    return NetworkSpec(settings=settings, training=training or {}, **fields)


def round_to_float16(weights: list[NDArray]) -> list[NDArray]:
    """Kernels to the nearest float16, which keeps 11 bits of them; all else to float32."""
    return [w.astype(np.float16 if w.ndim > 1 else np.float32) for w in weights]


def pack(described: NetworkSpec, weights: list[NDArray]) -> bytes:
    """The file's content."""
    arrays: dict[str, Any] = {f"{k:04}": w for k, w in enumerate(round_to_float16(weights))}
    text = np.frombuffer(described.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, about=text, **arrays)
    return buffer.getvalue()


def read_weights(uri: str) -> tuple[NetworkSpec, list[NDArray[np.float32]]]:
    """What lies at `uri`: about the network, and its weights. Raises `InputError`."""
    data = storage.read_bytes(uri, _MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_BYTES:
                raise ValueError("it unpacks to more than any network of this project")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            described = NetworkSpec.model_validate_json(arrays["about"].tobytes())
            names = sorted(set(arrays.files) - {"about"})
            return described, [arrays[name].astype(np.float32) for name in names]
    except (zipfile.BadZipFile, ValidationError, ValueError, KeyError, OSError, EOFError) as error:
        raise InputError(f"{uri}: not the weights of a network: {error}") from None


def weights_uri(start: str, kind: str) -> str:
    """Where the weights lie: of the shipped network ("pretrained") or of the release at `start`."""
    if start == PRETRAINED:
        return str(_SHIPPED / f"{kind}.npz")
    # Releases of earlier versions have the file under the kind's former name.
    names = [kind, *former_names(kind)]
    uris = [storage.join(start, release_path(name)) for name in names]
    return next((uri for uri in uris if storage.exists(uri)), uris[0])


def release_path(kind: str) -> str:
    """Where a release keeps the weights of one of its networks."""
    return f"assets.extra/networks/{kind}.npz"


def load_initial_weights(network: Any, described: NetworkSpec, uri: str) -> str:
    """Give an untrained network the weights at `uri`; returns what was done, for the log.

    For another set of labels the last layer stays as it is: there is nothing to take over.

    Raises:
        InputError: the weights are of a network of another shape.
    """
    source, weights = read_weights(uri)
    own = network.get_weights()
    shapes, expected = [w.shape for w in weights], [w.shape for w in own]
    if shapes == expected and source.labels == described.labels:
        network.set_weights(weights)
        return f"starting from {uri}"
    if source.kind == described.kind and shapes[:-2] == expected[:-2]:
        network.set_weights(weights[:-2] + own[-2:])
        return f"starting from {uri}, but for the last layer: {_names(source)} were its labels"
    raise InputError(
        f"{uri}: a {source.kind} network of widths {source.settings.widths} and "
        f"{source.settings.blocks} blocks a stage; the {described.kind} network to train has "
        f"{described.settings.widths} and {described.settings.blocks}: give it the same shape, or "
        "start from scratch"
    )


def _names(described: NetworkSpec) -> str:
    return ", ".join(described.labels)
