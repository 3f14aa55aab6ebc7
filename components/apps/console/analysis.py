"""Analyse a photo or a camera's frame, and build the JSON that the page receives."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.following import Follower
from emotion_ai.client.images import FORMATS, read_image
from emotion_ai.client.results import Box, Face
from emotion_ai.errors import EmotionAIError, Unavailable, one_line
from emotion_ai.faces.picture_files import PictureError, photo_size

# Faces before a camera are large, and speed matters more: half of YuNet's time, and it still finds
# faces from 55 pixels of 640.
_LIVE_DETECTORS = {"yunet": "yunet:480"}
_MAX_NAME_LENGTH = 40


def live_detector(faces: str) -> Detector:
    """Return the detector for a camera's frames, where `faces` names the one for photos."""
    return open_detector(_LIVE_DETECTORS.get(faces, faces))


# From pixels, boxes and the seconds that it may take to the faces in the boxes.
Predict = Callable[[NDArray[np.uint8], Sequence[Box], float], list[Face]]


class PictureLimits(NamedTuple):
    """The most pixels of a picture, and the seconds in which the model server has to answer."""

    max_pixels: int
    timeout_s: float


def analyse_picture(
    data: bytes, predict: Predict, follower: Follower, limits: PictureLimits
) -> dict[str, Any]:
    """Predict the faces in a picture file and number them.

    Args:
        data: The file's content; see `images.read_image`.
        predict: Predicts the faces.
        follower: Finds the faces, with a detector that has the framing of `predict`; a face keeps
            its number in the next call with the same follower.
        limits: What the picture may take.

    Returns:
        `width` and `height` in pixels, `ms`, and `faces`: `Face.as_dict()` with `number`.

    Raises:
        InputError: The data cannot be read as a picture.
        Unavailable: The model server failed.
    """
    start = time.monotonic()
    pixels = read_image(data, max_pixels=limits.max_pixels)
    detected = None
    if follower.is_due(pixels, start):
        # New faces are numbered from left to right.
        detected = sorted(follower.detector.find_faces(pixels), key=lambda box: box.left)
    faces = follower.follow(
        pixels, start, lambda image, boxes: predict(image, boxes, limits.timeout_s), detected
    )
    return {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "faces": [{"number": number} | _describe_face(face) for number, face in faces],
        "ms": round(1000 * (time.monotonic() - start)),
    }


def has_more_pixels(data: bytes, count: int) -> bool:
    """Whether a picture file's header states more pixels; False where it cannot be read."""
    try:
        width, height = photo_size(data, FORMATS)
    except PictureError:
        return False
    return width * height > count


def _describe_face(face: Face) -> dict[str, Any]:
    # The names of emotions are the model server's own words.
    return face.as_dict() | {
        "emotion": _clean_name(face.emotion),
        "cannot_tell": _clean_name(face.cannot_tell) or None,
        "probabilities": {_clean_name(name): p for name, p in face.probabilities.items()},
    }


def _clean_name(name: str) -> str:
    return one_line(name)[:_MAX_NAME_LENGTH]


def error_body(failure: EmotionAIError) -> dict[str, Any]:
    """Build the JSON of an error; `again` says whether a retry may succeed."""
    return {"error": one_line(failure), "again": isinstance(failure, Unavailable)}
