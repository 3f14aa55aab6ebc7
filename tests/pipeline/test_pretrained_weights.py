"""`make ship`: the networks and the model card of a release, copied into the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from emotion_ai.networks.settings import TrainingSettings
from emotion_ai.networks.weights import NetworkSpec, pack_weights, read_weights, release_path
from emotion_ai.registry.digest import file_digest
from emotion_ai.registry.publishing import publish
from emotion_ai.registry.releases import LITE_PATH

from support.minimal_release import write_minimal_release

ROOT = Path(__file__).parents[2]
KINDS = ("keypoints", "expression")
# As a bank of answers names a network that is no release.
FOREIGN = "tiny_net of npm @example/models 1.0 (MIT)"


def section(card: str, title: str) -> str:
    """Return what follows a title, to the next one."""
    return card.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_ship_pretrained_removes_the_addresses_of_the_training(tmp_path: Path) -> None:
    registry = tmp_path / "secret-folder" / "registry"
    kernel = np.array([[0.25, -3.0]], np.float32)
    files, draft = write_minimal_release(tmp_path / "files", "d" * 64)
    training = {
        "start": f"{registry}/7",
        "taken_from": f"{registry}/6",
        "teachers": [f"{registry}/5", "pretrained", FOREIGN],
        "epochs": 3,
        "parameters": 2,
        "seconds": 60,
    }
    for kind in KINDS:
        spec = NetworkSpec(
            kind=kind,
            settings=TrainingSettings(),
            image_size=48,
            mean=1,
            deviation=1,
            label_set="",
            labels=(),
            training=training,
        )
        files[release_path(kind)] = tmp_path / kind
        files[release_path(kind)].write_bytes(pack_weights(spec, [kernel]))
    files[LITE_PATH] = tmp_path / LITE_PATH
    files[LITE_PATH].write_bytes(b"for LiteRT")
    card = {"best_epoch": 2, "backend": "tensorflow", "machine": "a machine", "settings": {}}
    draft = draft.model_copy(
        update={
            "files": {name: file_digest(path) for name, path in files.items()},
            "training": dict.fromkeys(KINDS, training | card),
        }
    )
    version, _ = publish(str(registry), files, draft)
    shutil.copytree(ROOT / "components", tmp_path / "copy/emotion_ai")
    shutil.copytree(ROOT / "pipeline", tmp_path / "copy/emotion_ai/pipeline")
    command = "emotion-ai run --preset standard"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "emotion_ai.pipeline.pretrained",
            str(registry),
            str(version),
            command,
        ],
        cwd=tmp_path / "copy",
        check=True,
    )
    text = (tmp_path / "copy/MODEL_CARD.md").read_text()
    teachers = f"release 5, pretrained, {FOREIGN}"
    assert f"| 2 | 3 (2) | 1 | release 7 | {teachers} | tensorflow | a machine |" in text
    assert "- expression: not trained on these faces: the weights of release 6, whose" in text
    assert f"- command: `{command}`" in text
    assert "secret-folder" not in text
    # The card of what is shipped was made so, too.
    shipped_card = (ROOT / "MODEL_CARD.md").read_text()
    title = "Licence of the weights"
    assert section(text, title) == section(shipped_card, title) != ""
    assert (tmp_path / "copy/emotion_ai/litert/pretrained.tflite").read_bytes() == b"for LiteRT"
    # The release does not say when it gives no answer, so nor do the shipped networks.
    assert not (tmp_path / "copy/emotion_ai/networks/pretrained/refusal.npz").exists()
    for kind in KINDS:
        shipped = tmp_path / f"copy/emotion_ai/networks/pretrained/{kind}.npz"
        spec, weights = read_weights(str(shipped))
        assert spec.training == training | {
            "start": "release 7",
            "taken_from": "release 6",
            "teachers": ["release 5", "pretrained", FOREIGN],
        }
        np.testing.assert_array_equal(weights[0], kernel)
