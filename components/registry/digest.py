"""What makes two models the same, whatever bytes their export happened to have."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion_ai.settings import StrictModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where combine leaves `ModelContent` in the SavedModel, for push.
CONTENT_PATH = "assets.extra/content.json"


class ModelContent(StrictModel):
    """What combine says about the SavedModel it wrote; push needs no TensorFlow to read it."""

    label_set: str
    labels: tuple[str, ...]
    signatures: dict[str, Any]
    weights_sha256: str
    packages: dict[str, str] = {}
    # By kind of network: how it was trained.
    training: dict[str, dict[str, Any]] = {}
    # What model.tflite is, and what its weights cost in accuracy.
    lite: dict[str, Any] = {}


class FileDigest(StrictModel):
    """A file's content: hexadecimal SHA-256 and size in bytes."""

    sha256: str
    size: int


def content_digest(content: ModelContent, revision: str) -> str:
    """Hexadecimal SHA-256 over label set, labels, signatures, weights and the code's revision."""
    parts = content.model_dump(mode="json", exclude={"packages", "training", "lite"}) | {
        "revision": revision
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def weights_sha256(weights: "Iterable[tuple[str, NDArray]]") -> str:
    """Hexadecimal SHA-256 over (path, dtype, shape, bytes) of every weight, sorted by path."""
    digest = hashlib.sha256()
    for path, values in sorted(weights, key=lambda weight: weight[0]):
        header = json.dumps([path, values.dtype.str, list(values.shape)])
        digest.update(header.encode() + b"\n")
        digest.update(values.tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> FileDigest:
    """The digest of a local file, read in chunks."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileDigest(sha256=digest, size=file.tell())
