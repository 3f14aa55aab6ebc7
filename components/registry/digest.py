"""Digests of files, and of a model's content independently of the bytes of its export."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from emotion_ai import storage
from emotion_ai.settings import StrictModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where combine writes `ModelContent` in the SavedModel, for push.
CONTENT_PATH = "assets.extra/content.json"


class ModelContent(StrictModel):
    """What combine records about the SavedModel it wrote, so that push needs no TensorFlow."""

    label_set: str
    labels: tuple[str, ...]
    signatures: dict[str, Any]
    weights_sha256: str
    packages: dict[str, str] = {}
    # How each network was trained, by kind.
    training: dict[str, dict[str, Any]] = {}
    # What model.tflite contains, and the accuracy that its quantized weights cost.
    lite: dict[str, Any] = {}
    # When its answer is none, and what was measured of it; or why that is not known.
    refusal: dict[str, Any] = {}


class FileDigest(StrictModel):
    """The hexadecimal SHA-256 of a file, and its size in bytes."""

    sha256: str
    size: Annotated[int, Field(ge=0)]


def content_digest(content: ModelContent, revision: str) -> str:
    """Compute the hexadecimal SHA-256 of what makes two models the same.

    It covers label set, labels, signatures, weights and the revision of combine's code. The bytes
    of a SavedModel differ from export to export and are not part of it.
    """
    parts = content.model_dump(mode="json", exclude={"packages", "training", "lite", "refusal"}) | {
        "revision": revision
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def weights_sha256(weights: "Iterable[tuple[str, NDArray]]") -> str:
    """Compute the hexadecimal SHA-256 of every weight's path, dtype, shape and bytes.

    Args:
        weights: (path, array) of each weight, in any order.
    """
    digest = hashlib.sha256()
    for path, values in sorted(weights, key=lambda weight: weight[0]):
        header = json.dumps([path, values.dtype.str, list(values.shape)])
        digest.update(header.encode() + b"\n")
        digest.update(values.tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> FileDigest:
    """Compute the digest of a local file, read in chunks."""
    return FileDigest(sha256=storage.sha256(str(path)), size=path.stat().st_size)
