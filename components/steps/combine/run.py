"""Combine both networks into one SavedModel.

Reads two Keras models and the faces they were trained on; fits when their answer is none; writes a
SavedModel with two signatures, `model.tflite` and `assets.extra/content.json` inside it, and golden
answers.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import VerificationError
from emotion_ai.export.inference import call_signature
from emotion_ai.export.lite import write_lite
from emotion_ai.export.saved_model import NetworkPair, save_combined, write_content
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.keypoints import FRAME
from emotion_ai.networks.inference import load_network
from emotion_ai.networks.refusal import REFUSAL_PATH, pack_refusal
from emotion_ai.networks.refusal_fit import fit_refusal
from emotion_ai.networks.weights import WEIGHTS_FILE, read_weights, release_path
from emotion_ai.sample.drawing import draw_faces
from emotion_ai.serving_api.golden import EXPORT_TOLERANCE, Golden, write_golden
from emotion_ai.storage.atomic_files import remove_on_failure

_GOLDEN_FACES = 8
_GOLDEN_SEED = 96


def run(
    keypoint_model: str,
    expression_model: str,
    faces: Mapping[str, str],
    saved_model: str,
    golden: str,
) -> None:
    """Write the SavedModel of both networks, and its outputs for eight synthetic faces.

    Args:
        keypoint_model: Folder of the trained keypoint network, see `networks.artifacts`.
        expression_model: Folder of the trained expression network.
        faces: Folders of prepared faces by kind. When the answer is none is fitted to them, and
            the quality of `model.tflite` is measured on their validation and test splits.
        saved_model: Folder to write, with the networks' weights in it.
        golden: .npz file to write, see `serving_api.golden`.

    Raises:
        InputError: A weights file or a faces artifact is missing or invalid.
        VerificationError: The SavedModel's outputs differ from the networks' by more than 1e-4.
        Unavailable: An output cannot be written.
    """
    weights_files = [Path(model, WEIGHTS_FILE) for model in (keypoint_model, expression_model)]
    networks = NetworkPair(load_network(keypoint_model), load_network(expression_model))
    images = next(draw_faces(_GOLDEN_FACES, _GOLDEN_SEED)).images[..., None]
    with remove_on_failure(saved_model, golden):
        specs = [read_weights(str(path))[0] for path in weights_files]
        prepared = {kind: Faces(path) for kind, path in faces.items()}
        refusal, refusal_report = fit_refusal(*networks, prepared)
        signatures, content = save_combined(networks, specs, saved_model, refusal)
        predict = partial(call_signature, signatures["serving_default"])
        golden_answers = Golden(images, **predict(images))
        _check_parity(golden_answers, networks)
        lite = write_lite(saved_model, predict, golden_answers, faces)
        reports = {"lite": lite, "refusal": refusal_report}
        write_content(saved_model, content.model_copy(update=reports))
        if refusal:
            target = storage.join(saved_model, REFUSAL_PATH)
            storage.write_bytes(target, pack_refusal(refusal))
        for spec, path in zip(specs, weights_files, strict=True):
            target = storage.join(saved_model, release_path(spec.kind))
            storage.write_bytes(target, path.read_bytes())
        write_golden(golden, golden_answers)


def _check_parity(golden: Golden, networks: NetworkPair) -> None:
    """Compare the exported graph's outputs with those of the networks themselves."""
    pixels = golden.images.astype(np.float32)
    halved = pixels.reshape(len(pixels), FRAME // 2, 2, FRAME // 2, 2, 1).mean((2, 4))
    by_size = {FRAME: pixels, FRAME // 2: halved}
    keypoints, logits = (
        network.predict_on_batch(by_size[network.input_shape[1]]) for network in networks
    )
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    _check_close("keypoints", golden.keypoints, keypoints)
    _check_close("emotion_probabilities", golden.emotion_probabilities, probabilities)


def _check_close(name: str, exported: NDArray, expected: NDArray) -> None:
    difference = float(np.abs(exported - expected).max())
    # Negated, so that NaN fails too.
    if not difference <= EXPORT_TOLERANCE:
        raise VerificationError(
            f"combine: {name} of the SavedModel differ from the network's by {difference:.2g}; "
            f"expected at most {EXPORT_TOLERANCE:.0e}"
        )
