"""Golden answers: what the exported graph said about a few faces, asked again of a server."""

import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_ai import storage
from emotion_ai.client.client import Client
from emotion_ai.errors import InputError
from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.tensors import fill_tensor

_MAX_BYTES = 16 << 20


class Golden(NamedTuple):
    """Faces uint8 [n, 96, 96, 1] and the answers that combine got for them, batch first."""

    images: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    emotion_probabilities: NDArray[np.float32]
    emotion: NDArray[np.str_]
    emotion_labels: NDArray[np.str_]


class GoldenAnswer(NamedTuple):
    """A server's outputs by name, and the request with them as a `PredictionLog`."""

    outputs: dict[str, NDArray]
    log: Any


def read_golden_answers(path: str) -> Golden:
    """Read combine's golden.npz. Raises `InputError` where an array is absent or misshapen."""
    data = storage.read_bytes(path, _MAX_BYTES)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            golden = Golden(*(arrays[name] for name in Golden._fields))
    except (KeyError, OSError, ValueError) as error:
        raise InputError(f"{path}: not the golden answers that combine writes: {error}") from None
    count, classes = len(golden.images), golden.emotion_probabilities.shape[-1]
    expected = [
        (count, FRAME, FRAME, 1),
        (count, len(NAMES), 2),
        (count, classes),
        (count,),
        (count, classes),
    ]
    arrays_read: tuple[NDArray, ...] = tuple(golden)
    for name, array, shape in zip(Golden._fields, arrays_read, expected, strict=True):
        if array.shape != shape or not count:
            raise InputError(f"{path}: {name} has shape {array.shape}; expected {shape}, not empty")
    return golden


def ask_golden(client: Client, golden: Golden) -> dict[str, GoldenAnswer]:
    """Ask both signatures about the golden faces: as pixels, and as PNG files of them."""
    pictures = np.array([_png(image) for image in golden.images[..., 0]], dtype=object)
    return {
        "serving_default": _ask(client, "serving_default", "images", golden.images),
        "encoded": _ask(client, "encoded", "image_bytes", pictures),
    }


def _ask(client: Client, signature: str, name: str, values: NDArray) -> GoldenAnswer:
    log = messages.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = messages.MODEL_NAME
    request.model_spec.signature_name = signature
    fill_tensor(request.inputs[name], values)
    outputs = client.send(request).outputs
    response = log.predict_log.response
    response.model_spec.name = messages.MODEL_NAME
    response.model_spec.signature_name = signature
    for output, array in outputs.items():
        fill_tensor(response.outputs[output], array)
    return GoldenAnswer(outputs, log)


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()
