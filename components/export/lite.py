"""`model.tflite` beside the SavedModel: the same networks for LiteRT, as small as faces allow.

TensorFlow Serving answers from it with `--prefer_tflite_model`, and so does the embedded server.
Weights of eight bits ("dynamic range quantization",
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization)
take a third of the time. Whether they are good enough is measured on the faces of the validation
and test splits; where they are not, or where there are no faces, weights stay float32.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import VerificationError
from emotion_ai.export.inference import enlarge
from emotion_ai.export.lite_model import LiteModel
from emotion_ai.faces.arrays import TRAIN, Faces
from emotion_ai.faces.kinds import KINDS, FaceKind
from emotion_ai.registry.releases import LITE_PATH
from emotion_ai.serving_api.golden import SERVER_TOLERANCE, Golden, compare_answers

# What eight bits may cost: a share of faces, and pixels of the 96x96 frame.
MAX_LOSS = {"accuracy": 0.005, "rmse_px": 0.02}
# Of either kind of faces; about 20 seconds on one core.
_ROWS = 4_000
_ROWS_AT_ONCE = 64
_SIGNATURE = "serving_default"

Answers = Mapping[str, NDArray]
Ask = Callable[[NDArray[np.uint8]], Answers]


def write_lite(
    saved_model: str, ask: Ask, golden: Golden, faces: Mapping[str, str]
) -> dict[str, Any]:
    """Write `model.tflite` into a SavedModel's folder; returns what is to be told about it.

    `ask` calls the SavedModel; `faces` are folders of prepared faces by kind. What is told:
    "weights" ("int8" or "float32"), "largest_difference" of a number from the golden answers, and
    by kind of faces "rows" and the scores of both, the SavedModel's with the suffix
    "_saved_model". Raises `VerificationError` where not even float32 answers as the SavedModel does.
    """
    for weights in ("int8", "float32"):
        content = converted(saved_model, weights)
        model = LiteModel(content)
        difference = _difference(golden, model.run(golden.images))
        told: dict[str, Any] = {"weights": weights, "largest_difference": difference}
        told |= {kind: _compared(kind, Faces(path), ask, model) for kind, path in faces.items()}
        if weights == "int8" and not (faces and np.isfinite(difference) and _is_small_loss(told)):
            continue
        if weights == "float32" and not difference <= SERVER_TOLERANCE:
            raise VerificationError(
                f"combine: {LITE_PATH} answers otherwise than the SavedModel, by {difference:.2g}; "
                f"expected at most {SERVER_TOLERANCE:.0e}"
            )
        storage.write_bytes(storage.join(saved_model, LITE_PATH), content)
        break
    return told


def converted(saved_model: str, weights: str) -> bytes:
    """`serving_default` of a SavedModel for LiteRT, with weights of "int8" or "float32"."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[_SIGNATURE])
    if weights == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _named_by_alias(converter.convert())


def _named_by_alias(content: bytes) -> bytes:
    """The model with the tensors of its inputs and outputs named as the signature names them.

    TensorFlow Serving makes the signature from the tensors' names where the file says nothing else
    (tensorflow_serving/servables/tensorflow/tflite_session.cc).
    """
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    (signature,) = model.signatureDefs
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    for tensor in (*signature.inputs, *signature.outputs):
        tensors[tensor.tensorIndex].name = tensor.name
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _difference(golden: Golden, answers: Answers) -> float:
    """The largest difference of a number from the golden answers; infinite where a text differs."""
    try:
        return compare_answers(golden.answers, answers, float("inf"))
    except VerificationError:
        return float("inf")


def _compared(kind: str, faces: Faces, ask: Ask, model: LiteModel) -> dict[str, float]:
    """The score of both on faces that neither was trained on, and the number of these."""
    positions = np.flatnonzero(faces.column("split") != TRAIN)
    if len(positions) > _ROWS:
        drawn = np.random.default_rng(0).choice(positions, _ROWS, replace=False)
        positions = np.sort(drawn)
    name = KINDS[kind].metric
    score = _SCORES[name]
    theirs, ours, truth = [], [], []
    for start in range(0, len(positions), _ROWS_AT_ONCE):
        rows = faces.take(positions[start : start + _ROWS_AT_ONCE])
        images = enlarge(rows.images)
        theirs.append(ask(images))
        ours.append(model.run(images))
        truth.append(rows.targets)
    expected = np.concatenate(truth)
    return {
        "rows": float(len(positions)),
        name: score(ours, expected),
        f"{name}_saved_model": score(theirs, expected),
    }


def _accuracy(answers: Sequence[Answers], truth: NDArray) -> float:
    named = np.concatenate([answer["emotion_probabilities"].argmax(1) for answer in answers])
    return float((named == truth).mean())


def _rmse(answers: Sequence[Answers], truth: NDArray) -> float:
    points = np.concatenate([answer["keypoints"] for answer in answers])
    return float(np.sqrt(np.nanmean(np.square(points - truth))))


_SCORES = {"accuracy": _accuracy, "rmse_px": _rmse}


def _is_small_loss(told: Mapping[str, Any]) -> bool:
    return all(_loss(kind, told[kind.name]) <= MAX_LOSS[kind.metric] for kind in KINDS.values())


def _loss(kind: FaceKind, scores: Mapping[str, float]) -> float:
    gain = scores[kind.metric] - scores[f"{kind.metric}_saved_model"]
    return -gain if kind.higher_is_better else gain
