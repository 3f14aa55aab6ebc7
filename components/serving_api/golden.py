"""Golden answers: the exported model's outputs for a few drawn faces, compared at every stage.

The step combine writes them. The step validate compares a server's outputs with them and makes
them the release's warm-up requests (`warmup`). A rollout compares the server's outputs again. The
faces are synthetic, because they are published with every release.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai import storage
from emotion_ai.errors import InputError, VerificationError
from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.tensors import fill_tensor
from emotion_ai.storage.array_files import unpack_arrays

# Largest difference of a number between the exported graph and the networks it was exported from.
EXPORT_TOLERANCE = 1e-4
# Between two programs or processors with the same weights: they sum in different orders, so they
# round differently.
SERVER_TOLERANCE = 1e-3
# It follows from numbers that are compared, and turns where one of them is at a threshold.
_NOT_COMPARED = {"cannot_tell"}
_MAX_BYTES = 16 << 20


class Golden(NamedTuple):
    """Faces and the exported model's outputs for them, batch first.

    Attributes:
        images: uint8 [n, 96, 96, 1].
        keypoints: float32 [n, 15, 2], in pixels of the 96x96 face.
        emotion_probabilities: float32 [n, k].
        emotion: str [n], the most probable emotion.
        emotion_labels: str [n, k], the emotions in the order of the probabilities.
        face_score: float32 [n], None where the model does not say whether its answer is one.
        cannot_tell: str [n], why it is none; None likewise.
    """

    images: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    emotion_probabilities: NDArray[np.float32]
    emotion: NDArray[np.str_]
    emotion_labels: NDArray[np.str_]
    face_score: NDArray[np.float32] | None = None
    cannot_tell: NDArray[np.str_] | None = None

    @property
    def arrays(self) -> dict[str, Any]:
        """The faces, and the model's outputs by name."""
        return {name: array for name, array in self._asdict().items() if array is not None}

    @property
    def answers(self) -> dict[str, NDArray]:
        """The model's outputs by name."""
        outputs = self.arrays
        del outputs["images"]
        return outputs


def write_golden(path: str, golden: Golden) -> None:
    """Write golden answers as .npz, one array per field of `Golden`.

    Raises:
        Unavailable: The file cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **golden.arrays)
    storage.write_bytes(path, content.getvalue())


def read_golden(path: str) -> Golden:
    """Read the golden answers that `write_golden` wrote.

    Raises:
        InputError: The file is not an .npz archive of at most 16 MiB, or an array is missing,
            empty or has the wrong shape or type.
        Unavailable: The storage failed.
    """
    data = storage.read_bytes(path, _MAX_BYTES)
    try:
        arrays = unpack_arrays(data, _MAX_BYTES)
        golden = Golden(**arrays)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: not the golden answers that combine writes: {error}") from None
    count, classes = golden.images.shape[:1], golden.emotion_probabilities.shape[-1:]
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "images": ("uint8", (*count, FRAME, FRAME, 1)),
        "keypoints": ("float32", (*count, len(NAMES), 2)),
        "emotion_probabilities": ("float32", (*count, *classes)),
        "emotion": ("str", count),
        "emotion_labels": ("str", (*count, *classes)),
        "face_score": ("float32", count),
        "cannot_tell": ("str", count),
    }
    for name, array in golden.arrays.items():
        dtype = "str" if array.dtype.kind == "U" else str(array.dtype)
        if (dtype, array.shape) != expected[name] or not array.size:
            raise InputError(
                f"{path}: {name} has shape {array.shape} of {dtype}; expected "
                f"{expected[name][1]} of {expected[name][0]}, not empty"
            )
    return golden


def golden_requests(golden: Golden) -> dict[str, Any]:
    """Build a PredictRequest for each signature: the golden faces as pixels, and as PNG files.

    Returns:
        `PredictRequest` messages by signature name.
    """
    pictures = np.array([_encode_png(image) for image in golden.images[..., 0]], dtype=object)
    inputs = {"serving_default": ("images", golden.images), "encoded": ("image_bytes", pictures)}
    requests = {}
    for signature, (name, values) in inputs.items():
        request = messages.PredictRequest()
        request.model_spec.name = messages.MODEL_NAME
        request.model_spec.signature_name = signature
        fill_tensor(request.inputs[name], values)
        requests[signature] = request
    return requests


def prediction_log(request: Any, outputs: Mapping[str, NDArray]) -> Any:
    """Build the `PredictionLog` of a request and its outputs, the format of warm-up requests.

    Args:
        request: A `PredictRequest` message.
        outputs: The server's outputs by name.
    """
    log = messages.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    response = log.predict_log.response
    response.model_spec.name = messages.MODEL_NAME
    response.model_spec.signature_name = request.model_spec.signature_name
    for name, values in outputs.items():
        fill_tensor(response.outputs[name], values)
    return log


def compare_answers(
    expected: Mapping[str, NDArray], outputs: Mapping[str, NDArray], tolerance: float
) -> float:
    """Compare a model's outputs with the golden ones.

    Args:
        expected: The golden outputs by name.
        outputs: The outputs to check; strings may be str or bytes.
        tolerance: The largest allowed difference of a number.

    Returns:
        The largest difference of a number.

    Raises:
        VerificationError: Names, shapes, dtypes or strings differ, or a number differs by more
            than `tolerance`; names the output.
    """
    compared = set(expected) - _NOT_COMPARED
    if set(outputs) - _NOT_COMPARED != compared:
        raise VerificationError(f"outputs {sorted(outputs)}, expected {sorted(expected)}")
    return max(_difference(name, expected[name], outputs[name], tolerance) for name in compared)


def _difference(name: str, expected: NDArray, output: NDArray, tolerance: float) -> float:
    are_strings = [array.dtype.kind in "OSU" for array in (expected, output)]
    same_dtype = expected.dtype == output.dtype or all(are_strings)
    if output.shape != expected.shape or not same_dtype:
        raise VerificationError(
            f"{name} {output.dtype} {output.shape}, expected {expected.dtype} {expected.shape}"
        )
    if all(are_strings):
        if not np.array_equal(output.astype(str), expected.astype(str)):
            raise VerificationError(f"{name} {output.tolist()}, expected {expected.tolist()}")
        return 0.0
    difference = float(np.abs(output.astype(np.float64) - expected).max(initial=0.0))
    # Negated, so that NaN fails too.
    if not difference <= tolerance:
        raise VerificationError(
            f"{name} that differ by {difference:.3g}, expected at most {tolerance:g}"
        )
    return difference


def _encode_png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()
