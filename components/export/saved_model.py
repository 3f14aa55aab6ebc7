"""Export both networks as one SavedModel, and describe its content."""

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import Unavailable
from emotion_ai.export.batch_norm import fold_batch_norm
from emotion_ai.export.face_model import FaceModel
from emotion_ai.networks.refusal import Refusal
from emotion_ai.networks.weights import NetworkSpec
from emotion_ai.registry.digest import CONTENT_PATH, ModelContent, weights_sha256

_PACKAGES = ("tensorflow-cpu", "tensorflow", "keras", "numpy")


class NetworkPair(NamedTuple):
    """The two Keras networks that are released together."""

    keypoints: Any
    expression: Any


def save_combined(
    networks: NetworkPair,
    specs: Sequence[NetworkSpec],
    saved_model: str,
    refusal: Refusal | None = None,
) -> tuple[Any, ModelContent]:
    """Write both networks, with batch normalisation folded, as one SavedModel.

    Args:
        networks: The two Keras networks.
        specs: The networks' specs, in the same order.
        saved_model: Folder to write.
        refusal: When its answer is none; None where that is not known.

    Returns:
        The SavedModel's signatures, loaded from its folder, and the description of its content.

    Raises:
        Unavailable: The folder cannot be written.
    """
    expression_spec = specs[1]
    folded = NetworkPair(*map(fold_batch_norm, networks))
    model = FaceModel(folded.keypoints, folded.expression, expression_spec.labels, refusal)
    signatures = {"serving_default": model.serving_default, "encoded": model.encoded}
    try:
        tf.saved_model.save(model, saved_model, signatures=signatures)
    except (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError) as error:
        reason = error.message.rpartition("; ")[2].partition(" [Op:")[0]
        raise Unavailable(f"{saved_model}: cannot be written: {reason}") from None
    exported = tf.saved_model.load(saved_model).signatures
    content = ModelContent(
        label_set=expression_spec.label_set,
        labels=expression_spec.labels,
        signatures=_describe_signatures(exported),
        weights_sha256=weights_sha256(_named_weights(folded, refusal)),
        packages=_package_versions(),
        training={spec.kind: spec.training for spec in specs},
    )
    return exported, content


def write_content(saved_model: str, content: ModelContent) -> None:
    """Write content.json, the description of a SavedModel, into its folder."""
    text = content.model_dump_json(indent=1) + "\n"
    storage.write_bytes(storage.join(saved_model, CONTENT_PATH), text.encode())


def _named_weights(networks: NetworkPair, refusal: Refusal | None) -> Iterator[tuple[str, NDArray]]:
    for kind, network in networks._asdict().items():
        for weight in network.weights:
            yield f"{kind}/{weight.path}", keras.ops.convert_to_numpy(weight)
    if refusal:
        for name, values in refusal._asdict().items():
            yield f"refusal/{name}", values


def _describe_signatures(signatures: Mapping[str, Any]) -> dict[str, Any]:
    def describe_tensors(specs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
            for name, spec in sorted(specs.items())
        }

    return {
        name: {
            "inputs": describe_tensors(function.structured_input_signature[1]),
            "outputs": describe_tensors(function.structured_outputs),
        }
        for name, function in sorted(signatures.items())
    }


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
