"""Releases with networks to start or learn from, whose weights are not theirs."""

from pathlib import Path

import numpy as np

from emotion_ai.faces.kinds import EXPRESSION, KINDS, KindName, kind_of
from emotion_ai.faces.labels import LABEL_SETS
from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec, pack_weights, release_path
from emotion_ai.registry.digest import file_digest
from emotion_ai.registry.publishing import publish

from support.minimal_release import write_minimal_release


def _packed_network(kind: KindName, labels: tuple[str, ...], widths: tuple[int, ...]) -> bytes:
    spec = NetworkSpec(
        kind=kind,
        settings=TrainingSettings(widths=widths),
        image_size=kind_of(kind).image_size,
        mean=120.0,
        deviation=60.0,
        label_set="fer7",
        labels=labels if kind == EXPRESSION.name else (),
    )
    return pack_weights(spec, [np.zeros((3, 3, 1, 8), np.float32)])


def publish_networks(
    folder: Path,
    registry: str,
    labels: tuple[str, ...] = LABEL_SETS["fer7"],
    widths: tuple[int, ...] = (8, 16),
) -> int:
    """Publish a release whose networks have these labels and widths."""
    files, draft = write_minimal_release(folder, f"{labels} {widths}")
    for kind in KINDS:
        path = folder / f"{kind}.npz"
        path.write_bytes(_packed_network(kind, labels, widths))
        files[release_path(kind)] = path
    digests = {name: file_digest(path) for name, path in files.items()}
    return publish(registry, files, draft.model_copy(update={"files": digests}))[0]
