"""Fits when the pretrained networks give no answer; the networks stay as they are.

    make ship-refusal KEYPOINTS=keypoints.csv.gz EXPRESSION=fer2013.csv.gz

Writes `components/networks/pretrained/refusal.npz`, `components/litert/pretrained.tflite` with the
outputs that follow from it, and a section of `MODEL_CARD.md`. The faces are those that the networks
were trained on: their splits are made as the pipeline makes them.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import emotion_ai
from emotion_ai import storage
from emotion_ai.errors import VerificationError, exit_on_failure
from emotion_ai.export.lite import convert_to_lite
from emotion_ai.export.saved_model import save_combined
from emotion_ai.faces.arrays import Faces
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.litert.pretrained import PRETRAINED as PRETRAINED_LITE
from emotion_ai.networks.refusal import PRETRAINED_REFUSAL, pack_refusal
from emotion_ai.networks.refusal_fit import fit_refusal
from emotion_ai.networks.weights import NetworkSpec
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.server.pretrained import pretrained_networks
from emotion_ai.steps.ingest.run import run as ingest
from emotion_ai.steps.prepare.run import run as prepare
from emotion_ai.steps.push.refusal_section import refusal_section, replace_section

_DRAWN_FACES, _SEED = 64, 96


def ship_refusal(
    keypoints: Annotated[str, typer.Argument(help="Faces with keypoints.")],
    expression: Annotated[str, typer.Argument(help="Faces with emotions.")],
) -> None:
    """Fit when the pretrained networks give no answer, and write it into the package."""
    with exit_on_failure(), tempfile.TemporaryDirectory(prefix="refusal-") as scratch:
        networks, specs = pretrained_networks()
        faces = {
            spec.kind: _prepare(spec, source, scratch)
            for spec, source in zip(specs, (keypoints, expression), strict=True)
        }
        refusal, report = fit_refusal(
            *networks, {kind: Faces(path) for kind, path in faces.items()}
        )
        if refusal is None:
            raise VerificationError(f"nothing was written: {report['missing']}")
        saved_model = f"{scratch}/1"
        save_combined(networks, specs, saved_model, refusal)
        lite = convert_to_lite(saved_model, "int8")
        _check_same(PRETRAINED_LITE.read_bytes(), lite)
        storage.write_bytes(str(PRETRAINED_LITE), lite, storage.SHARED)
        storage.write_bytes(str(PRETRAINED_REFUSAL), pack_refusal(refusal), storage.SHARED)
        path = Path(emotion_ai.__path__[0]).parent / "MODEL_CARD.md"
        card = replace_section(path.read_text(encoding="utf-8"), refusal_section(report))
        storage.write_bytes(str(path), card.encode(), storage.SHARED)


def _prepare(spec: NetworkSpec, source: str, scratch: str) -> str:
    """Read faces and split them as the pipeline does; return the folder of the prepared ones."""
    folder = Path(scratch, spec.kind)
    folder.mkdir()
    read, page, statistics = (str(folder / name) for name in ("read", "page.html", "counts.json"))
    prepared = str(folder / "prepared")
    ingest(source, "", spec.kind, spec.label_set, "", {}, read, page, statistics)
    prepare(read, {}, prepared, page)
    return prepared


def _check_same(former: bytes, current: bytes) -> None:
    """Raise `VerificationError` where an output of the shipped file would change."""
    images = next(draw_faces(_DRAWN_FACES, _SEED)).images[..., None]
    before, after = (LiteModel(content).run(images) for content in (former, current))
    for name in before.keys() - {"face_score", "cannot_tell"}:
        if not np.array_equal(before[name], after[name]):
            raise VerificationError(
                f"{PRETRAINED_LITE}: {name} would change; ship the networks by `make ship`"
            )


if __name__ == "__main__":
    typer.run(ship_refusal)
