"""`model.tflite` beside the SavedModel: the same networks for LiteRT, quantized if that is safe.

TensorFlow Serving answers from it with `--prefer_tflite_model`, and so does the embedded server.
Eight-bit weights ("dynamic range quantization",
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization)
take a third of the time. Their loss of quality is measured on the validation and test splits; if
it is too large, or if there are no faces to measure it on, the weights stay float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import VerificationError
from emotion_ai.export.inference import enlarge
from emotion_ai.faces.arrays import TRAIN, Faces
from emotion_ai.faces.kinds import KINDS, FaceKind
from emotion_ai.litert.lite_model import LiteModel
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.serving_api.golden import SERVER_TOLERANCE, Golden, compare_answers

# What quantization may cost: a share of faces, and pixels of the 96x96 frame.
MAX_LOSS = {"accuracy": 0.005, "rmse_px": 0.02}
# Of each kind of faces; they take about 20 seconds on one core.
_MAX_ROWS = 4_000
_BATCH = 64
_SIGNATURE = "serving_default"

Outputs = Mapping[str, NDArray]
Predict = Callable[[NDArray[np.uint8]], Outputs]


def write_lite(
    saved_model: str, predict: Predict, golden: Golden, faces: Mapping[str, str]
) -> dict[str, Any]:
    """Write `model.tflite` into a SavedModel's folder and report its quality.

    Args:
        saved_model: The SavedModel's folder.
        predict: Calls the SavedModel, from uint8 [n, 96, 96, 1] to its outputs by name.
        golden: The SavedModel's golden answers.
        faces: Folders of prepared faces by kind; empty to keep float32 weights.

    Returns:
        The report for release.json: "weights" ("int8" or "float32"), "largest_difference" of a
        number from the golden answers and, for each kind of faces, "rows", the score of
        `model.tflite` ("accuracy" or "rmse_px") and the SavedModel's with the suffix
        "_saved_model".

    Raises:
        VerificationError: Even with float32 weights the outputs differ from the SavedModel's.
    """
    for weights in ("int8", "float32"):
        content = convert_to_lite(saved_model, weights)
        model = LiteModel(content)
        difference = _largest_difference(golden, model.run(golden.images))
        report: dict[str, Any] = {"weights": weights, "largest_difference": difference}
        report |= {
            kind: _compare_scores(KINDS[kind], Faces(path), predict, model)
            for kind, path in faces.items()
        }
        if weights == "int8" and not (faces and np.isfinite(difference) and _is_small_loss(report)):
            continue
        if weights == "float32" and not difference <= SERVER_TOLERANCE:
            raise VerificationError(
                f"combine: outputs of {LITE_PATH} differ from the SavedModel's by "
                f"{difference:.2g}; expected at most {SERVER_TOLERANCE:.0e}"
            )
        storage.write_bytes(storage.join(saved_model, LITE_PATH), content)
        break
    return report


def convert_to_lite(saved_model: str, weights: str) -> bytes:
    """Convert a SavedModel's `serving_default` for LiteRT.

    Args:
        saved_model: The SavedModel's folder.
        weights: "int8" for dynamic range quantization, or "float32".

    Returns:
        The content of a `model.tflite` file.
    """
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[_SIGNATURE])
    if weights == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _name_tensors_by_signature(converter.convert())


def _name_tensors_by_signature(content: bytes) -> bytes:
    """Give input and output tensors the names that the signature has for them.

    TensorFlow Serving derives the signature from the tensors' names if the file holds no other
    (tensorflow_serving/servables/tensorflow/tflite_session.cc).
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (signature,) = model.signatureDefs
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    for tensor in (*signature.inputs, *signature.outputs):
        tensors[tensor.tensorIndex].name = tensor.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _largest_difference(golden: Golden, outputs: Outputs) -> float:
    """Return the largest difference from the golden answers; infinite if a string differs."""
    try:
        return compare_answers(golden.answers, outputs, float("inf"))
    except VerificationError:
        return float("inf")


def _compare_scores(
    kind: FaceKind, faces: Faces, predict: Predict, model: LiteModel
) -> dict[str, float]:
    """Score both models on faces that neither was trained on."""
    positions = np.flatnonzero(faces.column("split") != TRAIN)
    if len(positions) > _MAX_ROWS:
        sample = np.random.default_rng(0).choice(positions, _MAX_ROWS, replace=False)
        positions = np.sort(sample)
    score = _SCORES[kind.metric]
    saved_model_outputs, lite_outputs, targets = [], [], []
    for start in range(0, len(positions), _BATCH):
        rows = faces.take(positions[start : start + _BATCH])
        images = enlarge(rows.images)
        saved_model_outputs.append(predict(images))
        lite_outputs.append(model.run(images))
        targets.append(rows.targets)
    truth = np.concatenate(targets)
    return {
        "rows": float(len(positions)),
        kind.metric: score(lite_outputs, truth),
        f"{kind.metric}_saved_model": score(saved_model_outputs, truth),
    }


def _accuracy(outputs: Sequence[Outputs], truth: NDArray) -> float:
    codes = np.concatenate([batch["emotion_probabilities"].argmax(1) for batch in outputs])
    return float((codes == truth).mean())


def _rmse(outputs: Sequence[Outputs], truth: NDArray) -> float:
    keypoints = np.concatenate([batch["keypoints"] for batch in outputs])
    return float(np.sqrt(np.nanmean(np.square(keypoints - truth))))


_SCORES = {"accuracy": _accuracy, "rmse_px": _rmse}


def _is_small_loss(report: Mapping[str, Any]) -> bool:
    return all(_loss(kind, report[kind.name]) <= MAX_LOSS[kind.metric] for kind in KINDS.values())


def _loss(kind: FaceKind, scores: Mapping[str, float]) -> float:
    gain = scores[kind.metric] - scores[f"{kind.metric}_saved_model"]
    return -gain if kind.higher_is_better else gain
