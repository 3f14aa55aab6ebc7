"""A photograph before the server and after it: faces cut out, answers put back in place."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.cropping import crop_faces, to_image_coordinates
from emotion_ai.client.detectors import Detector
from emotion_ai.client.images import Channels, ImageLike, name_of, read_image
from emotion_ai.client.results import Box, Face, Prediction
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.messages import MODEL_NAME
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

# Bounds a request: 64 faces are 576 KiB.
BATCH = 64
# Bounds a group: whoever watches a folder's progress sees it move.
PICTURES = 16

# A version by its number, or by the label that the server's configuration gives it.
Version = int | str | None


class Answer(NamedTuple):
    """The outputs of one request, by name, batch first, and the version that gave them."""

    outputs: dict[str, NDArray]
    version: int


TimedAnswer = tuple[Answer, float]


class DetectedFaces(NamedTuple):
    """The faces of one picture: uint8 [n, 96, 96, 1], what was cut out of it [n, 4], and boxes."""

    source: str
    size: tuple[int, int]
    boxes: Sequence[Box]
    crops: NDArray[np.uint8]
    frames: NDArray[np.float64]
    error: str | None = None


def locate(
    image: ImageLike,
    detector: Detector,
    channels: Channels = "rgb",
    boxes: Sequence[Box] | None = None,
) -> DetectedFaces:
    """Read a picture and cut its faces out; those in `boxes`, or else all that are found."""
    return _cut(name_of(image), read_image(image, channels), detector, boxes)


def _cut(
    source: str, pixels: NDArray[np.uint8], detector: Detector, boxes: Sequence[Box] | None = None
) -> DetectedFaces:
    if boxes is None:
        boxes = detector.find_faces(pixels)
    crops, frames = crop_faces(pixels, boxes, detector.framing)
    return DetectedFaces(source, (pixels.shape[1], pixels.shape[0]), boxes, crops, frames)


def try_detect_faces(
    index: int, image: ImageLike, detector: Detector, channels: Channels
) -> DetectedFaces:
    """As `locate`; picture number `index`, where it cannot be read, has an `error` and no faces."""
    source = name_of(image)
    try:
        pixels = read_image(image, channels)
    except InputError as error:
        reason = str(error) if source else f"picture {index}: {error}"
        none = np.empty((0, 96, 96, 1), np.uint8)
        return DetectedFaces(source, (0, 0), (), none, np.empty((0, 4)), reason)
    return _cut(source, pixels, detector)


def grouped(
    images: Iterable[ImageLike], detector: Detector, channels: Channels
) -> Iterator[tuple[int, list[DetectedFaces]]]:
    """Detect faces in groups of pictures that fill a request, each with its first's number."""
    if isinstance(images, str | bytes | Path):
        raise InputError("many pictures are expected, such as a list of paths; this is one alone")
    group: list[DetectedFaces] = []
    faces = first = 0
    for index, image in enumerate(images):
        group.append(try_detect_faces(index, image, detector, channels))
        faces += len(group[-1].boxes)
        if faces >= BATCH or len(group) == PICTURES:
            yield first, group
            group, faces, first = [], 0, index + 1
    if group:
        yield first, group


def requests_for(located: Sequence[DetectedFaces]) -> list[Any]:
    """PredictRequests of bounded size for the faces of these pictures, in order."""
    crops = np.concatenate([one.crops for one in located])
    starts = range(0, len(crops), BATCH)
    return [request_for("serving_default", "images", crops[k : k + BATCH]) for k in starts]


def request_for(signature: str, name: str, array: NDArray) -> Any:
    """A PredictRequest with one input, but for the model's name and version."""
    request = messages.PredictRequest()
    request.model_spec.signature_name = signature
    fill_tensor(request.inputs[name], array)
    return request


def with_model_spec(request: Any, version: Version) -> Any:
    """The request again, sent to this model and the given version; without one, the server's."""
    spec = request.model_spec
    spec.name = MODEL_NAME
    spec.ClearField("version_choice")
    if isinstance(version, str):
        spec.version_label = version
    elif version is not None:
        spec.version.value = version
    return request


def decode_response(response: Any, address: str) -> Answer:
    """The arrays of a PredictResponse; raises `Unavailable` where they cannot be read."""
    try:
        outputs = {name: read_tensor(proto) for name, proto in response.outputs.items()}
    except ValueError as error:
        raise Unavailable(f"server {address}: answer cannot be read: {error}") from None
    return Answer(outputs, response.model_spec.version.value)


def faces_of(
    located: Sequence[DetectedFaces], answers: Sequence[TimedAnswer], address: str
) -> list[tuple[Face, ...]]:
    """The faces of each picture, from the answers to the requests for all of them.

    Raises `Unavailable` where the model's outputs are not those of emotion_ai.
    """
    try:
        told = (told for answer in answers for told in _decode_rows(*answer))
        return [tuple(_face(*place, next(told)) for place in _places(one)) for one in located]
    except (KeyError, IndexError, ValueError, AttributeError, StopIteration) as error:
        raise Unavailable(
            f"server {address}: its model's outputs are not those of emotion_ai: {error!r}"
        ) from None


def _places(located: DetectedFaces) -> Iterator[tuple[Box, NDArray]]:
    return zip(located.boxes, located.frames, strict=True)


def _decode_rows(answer: Answer, seconds: float) -> Iterator[dict[str, Any]]:
    outputs = answer.outputs
    for k, emotion in enumerate(outputs["emotion"]):
        labels = [label.decode() for label in outputs["emotion_labels"][k]]
        shares = [float(p) for p in outputs["emotion_probabilities"][k]]
        yield {
            "emotion": emotion.decode(),
            "probabilities": dict(zip(labels, shares, strict=True)),
            "keypoints": outputs["keypoints"][k],
            "model_version": answer.version,
            "latency_s": seconds,
        }


def _face(box: Box, frame: NDArray, told: dict[str, Any]) -> Face:
    points = to_image_coordinates(told["keypoints"][None], frame[None])[0]
    return Face(box=box, **(told | {"keypoints": points}))


def predictions(
    first: int, located: Sequence[DetectedFaces], answers: Sequence[TimedAnswer], address: str
) -> list[Prediction]:
    """The answers to pictures number `first` and those that follow it."""
    faces = faces_of(located, answers, address)
    return [
        Prediction(index, one.source, *one.size, found, one.error)
        for index, (one, found) in enumerate(zip(located, faces, strict=True), first)
    ]
