"""Golden answers: what the exported model says about a few drawn faces, and who must agree.

The step combine writes them, validate asks a server for them and makes them the release's warm-up
requests (`warmup`), and a rollout compares the answers of the server with them again. The faces are
drawn, because they travel with every release.
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

# Largest difference of a number between the exported graph and the networks that it was made from.
EXPORT_TOLERANCE = 1e-4
# Between two programs that answer from the same weights: they sum in another order, so they round
# differently, as other processors do.
SERVER_TOLERANCE = 1e-3
_MAX_BYTES = 16 << 20


class Golden(NamedTuple):
    """Faces uint8 [n, 96, 96, 1] and the exported model's answers to them, batch first."""

    images: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    emotion_probabilities: NDArray[np.float32]
    emotion: NDArray[np.str_]
    emotion_labels: NDArray[np.str_]

    @property
    def answers(self) -> dict[str, NDArray]:
        """The model's outputs by name."""
        outputs = self._asdict()
        del outputs["images"]
        return outputs


def write_golden(path: str, golden: Golden) -> None:
    """Write golden answers as .npz, one array per field."""
    content = io.BytesIO()
    np.savez(content, **golden._asdict())
    storage.write_bytes(path, content.getvalue())


def read_golden(path: str) -> Golden:
    """Read golden answers. Raises `InputError` for an array that is absent or misshapen."""
    data = storage.read_bytes(path, _MAX_BYTES)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            golden = Golden(*(arrays[name] for name in Golden._fields))
    except (KeyError, OSError, ValueError) as error:
        raise InputError(f"{path}: not the golden answers that combine writes: {error}") from None
    count, classes = len(golden.images), golden.emotion_probabilities.shape[-1]
    expected = {
        "images": (count, FRAME, FRAME, 1),
        "keypoints": (count, len(NAMES), 2),
        "emotion_probabilities": (count, classes),
        "emotion": (count,),
        "emotion_labels": (count, classes),
    }
    for name, array in golden._asdict().items():
        if array.shape != expected[name] or not count:
            raise InputError(
                f"{path}: {name} has shape {array.shape}; expected {expected[name]}, not empty"
            )
    return golden


def golden_requests(golden: Golden) -> dict[str, Any]:
    """A PredictRequest for each signature: the golden faces as pixels, and as PNG files."""
    pictures = np.array([_png(image) for image in golden.images[..., 0]], dtype=object)
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
    """A request with a server's outputs as a `PredictionLog`, the form of warm-up requests."""
    log = messages.PredictionLog()
    log.predict_log.request.CopyFrom(request)
    response = log.predict_log.response
    response.model_spec.name = messages.MODEL_NAME
    response.model_spec.signature_name = request.model_spec.signature_name
    for name, values in outputs.items():
        fill_tensor(response.outputs[name], values)
    return log


def compare_answers(
    expected: Mapping[str, NDArray], answered: Mapping[str, NDArray], tolerance: float
) -> float:
    """Compare a model's outputs with the golden ones.

    Args:
        expected: the golden outputs by name.
        answered: the outputs to check; texts may be str or bytes.
        tolerance: largest difference of a number that is allowed.

    Returns:
        The largest difference of a number.

    Raises:
        VerificationError: names, shapes, dtypes or texts differ, or a number by more than
            `tolerance`; says which output.
    """
    if set(answered) != set(expected):
        raise VerificationError(f"outputs {sorted(answered)}, expected {sorted(expected)}")
    return max(_difference(name, expected[name], answered[name], tolerance) for name in expected)


def _difference(name: str, expected: NDArray, got: NDArray, tolerance: float) -> float:
    texts = [array.dtype.kind in "OSU" for array in (expected, got)]
    if got.shape != expected.shape or (expected.dtype != got.dtype and not all(texts)):
        raise VerificationError(
            f"{name} {got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
        )
    if all(texts):
        if not np.array_equal(got.astype(str), expected.astype(str)):
            raise VerificationError(f"{name} {got.tolist()}, expected {expected.tolist()}")
        return 0.0
    difference = float(np.abs(got.astype(np.float64) - expected).max(initial=0.0))
    # Written so that a NaN fails too.
    if not difference <= tolerance:
        raise VerificationError(
            f"{name} that differs by {difference:.3g}, at most {tolerance:g} may be"
        )
    return difference


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()
