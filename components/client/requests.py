"""Encode pictures as Predict requests and decode the responses: shared by both clients."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.cropping import crop_faces, to_image_coordinates
from emotion_ai.client.detectors import Detector
from emotion_ai.client.images import Channels, ImageLike, name_of, read_image
from emotion_ai.client.results import Box, Face, ModelResponse, Prediction
from emotion_ai.errors import InputError, Unavailable
from emotion_ai.faces.keypoints import FRAME, NAMES
from emotion_ai.faces.reasons import picture_reason
from emotion_ai.serving_api import messages
from emotion_ai.serving_api.messages import MODEL_NAME
from emotion_ai.serving_api.tensors import fill_tensor, read_tensor

# 64 faces are 576 KiB.
MAX_FACES_PER_REQUEST = 64
# Small enough that a progress bar over a folder moves.
MAX_PICTURES_PER_BATCH = 16
# Batches that the server may be working on while the next pictures are read.
MAX_BATCHES_IN_FLIGHT = 4
# A face takes some 250 bytes. A few bytes can stand for any number of values.
_MAX_ANSWER_BYTES = 4 * 1024 * 1024

# A release by its number, or by the label that the server's configuration gives it.
Version = int | str | None


class TimedResponse(NamedTuple):
    """A response, and how many seconds it took."""

    response: ModelResponse
    latency_s: float


class DetectedFaces(NamedTuple):
    """The faces of one picture, cropped for a request.

    Attributes:
        source: The picture's path, or "".
        size: Width and height in pixels.
        boxes: Where the faces are.
        crops: The faces, uint8 [n, 96, 96, 1].
        frames: What was cut out, float64 [n, 4]: left, top, width, height in pixels.
        error: Why the picture could not be read; None where it could.
    """

    source: str
    size: tuple[int, int]
    boxes: Sequence[Box]
    crops: NDArray[np.uint8]
    frames: NDArray[np.float64]
    error: str | None = None


class PictureBatch(NamedTuple):
    """Consecutive pictures that are sent together, and the index of the first."""

    first_index: int
    pictures: list[DetectedFaces]


def detect_faces(
    image: ImageLike,
    detector: Detector,
    channels: Channels = "rgb",
    boxes: Sequence[Box] | None = None,
) -> DetectedFaces:
    """Read a picture and crop its faces.

    Args:
        image: The picture, as in `images.read_image`.
        detector: Finds the faces, and says how to crop them.
        channels: The order of an array's colours.
        boxes: Faces to crop instead of those that the detector finds.

    Raises:
        InputError: The picture cannot be read.
    """
    return _crop(name_of(image), read_image(image, channels), detector, boxes)


def _crop(
    source: str, pixels: NDArray[np.uint8], detector: Detector, boxes: Sequence[Box] | None = None
) -> DetectedFaces:
    if boxes is None:
        boxes = detector.find_faces(pixels)
    crops, frames = crop_faces(pixels, boxes, detector.framing)
    return DetectedFaces(source, (pixels.shape[1], pixels.shape[0]), boxes, crops, frames)


def try_detect_faces(
    index: int, image: ImageLike, detector: Detector, channels: Channels
) -> DetectedFaces:
    """Do as `detect_faces`; a picture that cannot be read gets an `error` and no faces."""
    source = name_of(image)
    try:
        pixels = read_image(image, channels)
    except InputError as error:
        reason = str(error) if source else f"picture {index}: {error}"
        no_crops = np.empty((0, FRAME, FRAME, 1), np.uint8)
        return DetectedFaces(source, (0, 0), (), no_crops, np.empty((0, 4)), reason)
    return _crop(source, pixels, detector)


def read_batches(
    images: Iterable[ImageLike], detector: Detector, channels: Channels
) -> Iterator[PictureBatch]:
    """Detect faces in pictures, and group the pictures into batches that fill a request.

    Raises:
        InputError: `images` is a single picture.
    """
    if isinstance(images, str | bytes | Path):
        raise InputError("many pictures are expected, such as a list of paths; this is one alone")
    batch = PictureBatch(0, [])
    faces = 0
    for index, image in enumerate(images):
        batch.pictures.append(try_detect_faces(index, image, detector, channels))
        faces += len(batch.pictures[-1].boxes)
        if faces >= MAX_FACES_PER_REQUEST or len(batch.pictures) == MAX_PICTURES_PER_BATCH:
            yield batch
            batch, faces = PictureBatch(index + 1, []), 0
    if batch.pictures:
        yield batch


def encode_pictures(pictures: Sequence[DetectedFaces], version: Version) -> list[Any]:
    """Build the PredictRequests, of bounded size, for the faces of these pictures, in order."""
    crops = np.concatenate([picture.crops for picture in pictures])
    parts = (
        crops[start : start + MAX_FACES_PER_REQUEST]
        for start in range(0, len(crops), MAX_FACES_PER_REQUEST)
    )
    return [
        with_model_spec(encode_request("serving_default", "images", part), version)
        for part in parts
    ]


def encode_request(signature: str, input_name: str, array: NDArray) -> Any:
    """Build a PredictRequest with one input; `with_model_spec` adds the model and its version."""
    request = messages.PredictRequest()
    request.model_spec.signature_name = signature
    fill_tensor(request.inputs[input_name], array)
    return request


def with_model_spec(request: Any, version: Version) -> Any:
    """Address the request to this model and a version; None leaves the choice to the server."""
    spec = request.model_spec
    spec.name = MODEL_NAME
    spec.ClearField("version_choice")
    if isinstance(version, str):
        spec.version_label = version
    elif version is not None:
        spec.version.value = version
    return request


def decode_response(response: Any, address: str) -> ModelResponse:
    """Read the arrays of a PredictResponse; raise `Unavailable` where they are invalid."""
    outputs: dict[str, NDArray] = {}
    left = _MAX_ANSWER_BYTES
    try:
        for name, proto in response.outputs.items():
            outputs[name] = read_tensor(proto, left)
            left -= outputs[name].nbytes
    except ValueError as error:
        raise Unavailable(f"server {address}: answer cannot be read: {error}") from None
    return ModelResponse(outputs, response.model_spec.version.value)


def decode_faces(
    pictures: Sequence[DetectedFaces], responses: Sequence[TimedResponse], address: str
) -> list[list[Face]]:
    """Assign the rows of the responses to the faces of the pictures.

    Args:
        pictures: The pictures of `encode_pictures`.
        responses: The responses to its requests, in the same order.
        address: The server's, for the message of an error.

    Returns:
        The faces of each picture, in the order of its boxes.

    Raises:
        Unavailable: The model's outputs are not those of emotion_ai.
    """
    try:
        rows = (row for response in responses for row in _decode_rows(response))
        return [
            [
                _decode_face(box, crop, frame, next(rows))
                for box, crop, frame in zip(
                    picture.boxes, picture.crops, picture.frames, strict=True
                )
            ]
            for picture in pictures
        ]
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, StopIteration) as error:
        raise Unavailable(
            f"server {address}: its model's outputs are not those of emotion_ai: {error!r}"
        ) from None


def _decode_rows(timed: TimedResponse) -> Iterator[dict[str, Any]]:
    (outputs, version), latency_s = timed
    for k, emotion in enumerate(outputs["emotion"]):
        labels = [label.decode() for label in outputs["emotion_labels"][k]]
        probabilities = [float(p) for p in outputs["emotion_probabilities"][k]]
        keypoints = outputs["keypoints"][k]
        # JSON holds no NaN.
        if not (labels and keypoints.shape == (len(NAMES), 2)):
            raise ValueError(f"{len(labels)} labels, and keypoints of shape {keypoints.shape}")
        # Releases of earlier versions do not say whether an answer is one.
        face_score = float(outputs["face_score"][k]) if "face_score" in outputs else None
        numbers = [*probabilities, face_score or 0.0]
        if not (np.isfinite(numbers).all() and np.isfinite(keypoints).all()):
            raise ValueError("a number that is not finite")
        yield {
            "emotion": emotion.decode(),
            "probabilities": dict(zip(labels, probabilities, strict=True)),
            "keypoints": keypoints,
            "model_version": version,
            "latency_s": latency_s,
            "face_score": face_score,
            "picture_reason": outputs["cannot_tell"][k].decode()
            if "cannot_tell" in outputs
            else "",
        }


def _decode_face(
    box: Box, crop: NDArray[np.uint8], frame: NDArray[np.float64], row: dict[str, Any]
) -> Face:
    keypoints = to_image_coordinates(row["keypoints"][None], frame[None])[0]
    reason = picture_reason(crop, float(frame[2:].min()), row["picture_reason"])
    return Face(box=box, **(row | {"keypoints": keypoints, "picture_reason": reason}))


def decode_batch(
    batch: PictureBatch, responses: Sequence[TimedResponse], address: str
) -> list[Prediction]:
    """Build the predictions for a batch; see `decode_faces`."""
    faces = decode_faces(batch.pictures, responses, address)
    return [
        Prediction(index, picture.source, *picture.size, tuple(found), picture.error)
        for index, (picture, found) in enumerate(
            zip(batch.pictures, faces, strict=True), batch.first_index
        )
    ]
