"""Put a release's networks into this package as the pretrained ones, with its card.

    python -m pipeline.shipping REGISTRY VERSION

Writes `components/networks/pretrained/{keypoints,expressions}.npz` and `MODEL_CARD.md`, both from
what the release holds: no number is typed in.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

import components
from components import storage
from components.errors import exit_on_failure
from components.networks.weights import PRETRAINED, release_path, start_uri
from components.push.card import model_card
from components.registry.releases import read_release, release_uri, verify_release

_MOST_BYTES = 64 << 20


def ship(
    registry: Annotated[str, typer.Argument(help="Of the run whose networks are to be shipped.")],
    version: Annotated[int, typer.Argument(min=1)],
) -> None:
    """Take the networks of a release into the package."""
    with exit_on_failure():
        verify_release(registry, version)
        info = read_release(registry, version)
        for kind in ("keypoints", "expressions"):
            source = storage.join(release_uri(registry, version), release_path(kind))
            storage.write_bytes(
                start_uri(PRETRAINED, kind), storage.read_bytes(source, _MOST_BYTES)
            )
        # Where the faces lay on the machine of the training says nothing to anyone else.
        data = {
            kind: faces.model_copy(update={"source": PurePosixPath(faces.source).name})
            for kind, faces in info.data.items()
        }
        card = Path(components.__file__).parent.parent / "MODEL_CARD.md"
        text = model_card(info.model_copy(update={"data": data}))
        storage.write_bytes(str(card), text.encode())


if __name__ == "__main__":
    typer.run(ship)
