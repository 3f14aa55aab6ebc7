"""Put a release's networks into this package as the pretrained ones, with its card.

    python -m emotion_ai.pipeline.pretrained REGISTRY VERSION "emotion-ai run ..."

Writes `components/networks/pretrained/{keypoints,expression}.npz` and `MODEL_CARD.md`, both from
what the release holds: no number is typed in.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

import emotion_ai
from emotion_ai import storage
from emotion_ai.errors import exit_on_failure
from emotion_ai.faces.kinds import KINDS
from emotion_ai.networks.weights import (
    PRETRAINED,
    pack_weights,
    read_weights,
    release_path,
    weights_uri,
)
from emotion_ai.registry.releases import ReleaseInfo, read_release, release_uri, verify_release
from emotion_ai.steps.push.model_card import model_card


def ship(
    registry: Annotated[str, typer.Argument(help="Of the run whose networks are to be shipped.")],
    version: Annotated[int, typer.Argument(min=1)],
    command: Annotated[str, typer.Argument(help="What made the release; stands in the card.")],
) -> None:
    """Take the networks of a release into the package."""
    with exit_on_failure():
        verify_release(registry, version)
        info = read_release(registry, version)
        for kind in KINDS:
            source = storage.join(release_uri(registry, version), release_path(kind))
            described, weights = read_weights(source)
            described = described.model_copy(update={"training": _shared(described.training)})
            storage.write_bytes(weights_uri(PRETRAINED, kind), pack_weights(described, weights))
        card = model_card(_without_addresses(info))
        card += f"- command: `{command}`\n"
        path = Path(emotion_ai.__path__[0]).parent / "MODEL_CARD.md"
        storage.write_bytes(str(path), card.encode())


def _without_addresses(info: ReleaseInfo) -> ReleaseInfo:
    """Where things lay on the machine of the training says nothing to anyone else."""
    data = {
        kind: faces.model_copy(update={"source": PurePosixPath(faces.source).name})
        for kind, faces in info.data.items()
    }
    training = {kind: _shared(how) for kind, how in info.training.items()}
    return info.model_copy(update={"data": data, "training": training})


def _shared(training: dict[str, Any]) -> dict[str, Any]:
    """How a network was trained; what it started and learnt from is named by its number alone."""
    teachers = [_named(address) for address in training.get("teachers", [])]
    return training | {"start": _named(training.get("start", "")), "teachers": teachers}


def _named(address: str) -> str:
    return f"release {PurePosixPath(address).name}" if "/" in address else address


if __name__ == "__main__":
    typer.run(ship)
