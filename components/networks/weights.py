"""Weights in one small file a network, which a training can start from.

The file is an .npz with the weights in the network's order, kernels as float16 and all else as
float32, and `about`, the `NetworkSpec` as JSON. Every model artifact and every release
(`assets.extra/networks/KIND.npz`) has one; those of the pretrained networks are in this package.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.kinds import EXPRESSION, KindName, former_names
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.settings import StrictModel
from emotion_ai.storage.array_files import unpack_arrays

WEIGHTS_FILE = "weights.npz"
PRETRAINED = "pretrained"
_PRETRAINED_FOLDER = Path(__file__).parent / "pretrained"
_MAX_BYTES = 64 << 20


class NetworkSpec(StrictModel):
    """Everything needed to build a network; it normalises pixels with `mean` and `deviation`."""

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
    """Return the spec of a network to train on these faces.

    Args:
        info: The faces.
        settings: The network's shape.
        training: How it was trained, for the model card.
    """
    fields = info.model_dump(include=set(NetworkSpec.model_fields) - {"settings", "training"})
    return NetworkSpec(settings=settings, training=training or {}, **fields)


def round_to_float16(weights: list[NDArray]) -> list[NDArray]:
    """Convert kernels to float16, which keeps 11 bits of them, and all else to float32."""
    return [w.astype(np.float16 if w.ndim > 1 else np.float32) for w in weights]


def pack_weights(spec: NetworkSpec, weights: list[NDArray]) -> bytes:
    """Serialize a network's spec and weights to the content of a weights file.

    Args:
        spec: The network's spec.
        weights: `network.get_weights()`; kernels are rounded to float16.
    """
    arrays: dict[str, Any] = {f"{k:04}": w for k, w in enumerate(round_to_float16(weights))}
    text = np.frombuffer(spec.model_dump_json().encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, about=text, **arrays)
    return buffer.getvalue()


def read_weights(uri: str) -> tuple[NetworkSpec, list[NDArray[np.float32]]]:
    """Read a weights file; pickled objects in it are rejected.

    Args:
        uri: A local path or gs:// address.

    Returns:
        The network's spec, and its weights for `network.set_weights`.

    Raises:
        InputError: The file is damaged, too large, or not a weights file.
        Unavailable: The file cannot be read.

    Example:
        spec, weights = read_weights(weights_uri("pretrained", "expression"))
        network = build_network(spec)
        network.set_weights(weights)
    """
    data = storage.read_bytes(uri, _MAX_BYTES)
    try:
        arrays = unpack_arrays(data, _MAX_BYTES)
        spec = NetworkSpec.model_validate_json(arrays.pop("about").tobytes())
        return spec, [arrays[name].astype(np.float32) for name in sorted(arrays)]
    except (ValueError, KeyError) as error:
        raise InputError(f"{uri}: not the weights of a network: {error}") from None


def weights_uri(release: str, kind: str) -> str:
    """Return the address of a network's weights file.

    Args:
        release: "pretrained" for the network in this package, or the URI of a release.
        kind: "keypoints" or "expression".
    """
    if release == PRETRAINED:
        return str(_PRETRAINED_FOLDER / f"{kind}.npz")
    # Releases of earlier versions have the file under the kind's former name.
    names = [kind, *former_names(kind)]
    uris = [storage.join(release, release_path(name)) for name in names]
    return next((uri for uri in uris if storage.exists(uri)), uris[0])


def release_path(kind: str) -> str:
    """Return the path of a network's weights file inside a release."""
    return f"assets.extra/networks/{kind}.npz"


def load_initial_weights(network: Any, spec: NetworkSpec, uri: str) -> str:
    """Load weights into an untrained network of the same shape.

    The last layer keeps its random weights if the labels differ.

    Args:
        network: The network, built from `spec`.
        spec: Its spec.
        uri: The address of the weights file.

    Returns:
        One line for the log that says what was loaded.

    Raises:
        InputError: The file is not a weights file, or the network in it has another shape.
    """
    source, weights = read_weights(uri)
    initial = network.get_weights()
    shapes, expected = [w.shape for w in weights], [w.shape for w in initial]
    if shapes == expected and source.labels == spec.labels:
        network.set_weights(weights)
        return f"starting from {uri}"
    if source.kind == spec.kind and shapes[:-2] == expected[:-2]:
        network.set_weights(weights[:-2] + initial[-2:])
        labels = ", ".join(source.labels)
        return f"starting from {uri}, except for the last layer, which was trained for {labels}"
    raise _other_shape(uri, source, spec.kind, spec.settings)


def check_initial_weights(release: str, kind: KindName, settings: TrainingSettings) -> None:
    """Check before a training that a network can start from a release's.

    Args:
        release: "pretrained" or the release's URI.
        kind: The network's kind.
        settings: Its shape.

    Raises:
        InputError: There is no such network, or it has another shape.
        Unavailable: The storage failed.
    """
    uri = weights_uri(release, kind)
    source = read_weights(uri)[0]
    shape = (source.kind, source.settings.widths, source.settings.blocks)
    if shape != (kind, settings.widths, settings.blocks):
        raise _other_shape(uri, source, kind, settings)


def check_complete_start(release: str, kind: KindName, labels: tuple[str, ...]) -> None:
    """Check that a training of 0 epochs has weights for every layer.

    Args:
        release: "pretrained" or the release's URI; "" for random weights.
        kind: The network's kind.
        labels: The emotions that it predicts; none for keypoints.

    Raises:
        InputError: There are no weights, or they are for other emotions.
        Unavailable: The storage failed.
    """
    setting = f"setting training.{kind}.epochs = 0"
    if not release:
        raise InputError(
            f"{setting}: there are no weights to take as they are; name them with init, or train "
            "for 1 epoch or more"
        )
    found = read_weights(weights_uri(release, kind))[0].labels
    if found != labels:
        raise InputError(
            f"{setting}: the weights of {release} predict {', '.join(found)}; to predict "
            f"{', '.join(labels)} train for 1 epoch or more"
        )


def _other_shape(
    uri: str, source: NetworkSpec, kind: KindName, settings: TrainingSettings
) -> InputError:
    article = "an" if source.kind.startswith(tuple("aeiou")) else "a"
    return InputError(
        f"{uri}: {article} {source.kind} network of {_shape(source.settings)}; the {kind} network "
        f"to train has {_shape(settings)}: give it the same shape, or start from scratch"
    )


def check_teacher(release: str, labels: tuple[str, ...], image_size: int) -> None:
    """Check before a training that an expression network can learn from a release's.

    Args:
        release: "pretrained" or the release's URI.
        labels: The emotions to learn.
        image_size: The side of the faces.

    Raises:
        InputError: There is no such network, or it predicts other emotions, or from faces of
            another size.
        Unavailable: The storage failed.
    """
    uri = weights_uri(release, EXPRESSION.name)
    refuse_other_outputs(uri, read_weights(uri)[0], labels, image_size)


def refuse_other_outputs(
    uri: str, teacher: NetworkSpec, labels: tuple[str, ...], image_size: int
) -> None:
    """Raise `InputError` if a teacher predicts other emotions, or takes faces of another size."""
    if (teacher.labels, teacher.image_size) != (labels, image_size):
        raise InputError(
            f"{uri}: predicts {', '.join(teacher.labels)} from faces of {teacher.image_size} "
            f"pixels; a teacher here must predict {', '.join(labels)} from faces of {image_size} "
            "pixels"
        )


def _shape(settings: TrainingSettings) -> str:
    return f"widths {settings.widths} (blocks per stage: {settings.blocks})"
