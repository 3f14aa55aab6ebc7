"""Analyse a photo or a camera's frame, and build the JSON that the page receives."""

import time
from typing import Any

from emotion_ai.client.client import Client
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.images import read_image
from emotion_ai.client.tracking import Tracker
from emotion_ai.errors import EmotionAIError, Unavailable, one_line

# Faces before a camera are large, and speed matters more: half of YuNet's time, and it still finds
# faces from 55 pixels of 640.
_LIVE_DETECTORS = {"yunet": "yunet:480"}


def live_detector(faces: str) -> Detector:
    """Return the detector for a camera's frames, where `faces` names the one for photos."""
    return open_detector(_LIVE_DETECTORS.get(faces, faces))


def analyse_photo(
    data: bytes, client: Client, detector: Detector, tracker: Tracker, timeout: float
) -> dict[str, Any]:
    """Predict the faces in a picture file and number them.

    Args:
        data: The file's content; see `images.read_image`.
        client: Predicts the faces.
        detector: Detects the faces, with the framing of the client's detector.
        tracker: Numbers the faces; a face keeps its number in the next call with the same tracker.
        timeout: Seconds until a request fails.

    Returns:
        `width` and `height` in pixels, `ms`, and `faces`: `Face.as_dict()` with `number`.

    Raises:
        InputError: The data cannot be read as a picture.
        Unavailable: The model server failed.
    """
    start = time.monotonic()
    pixels = read_image(data)
    # New faces are numbered from left to right.
    boxes = sorted(detector.find_faces(pixels), key=lambda box: box.left)
    faces = client.predict(pixels, boxes=boxes, timeout=timeout)
    numbers = tracker.update(boxes, start)
    return {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "faces": [
            {"number": number} | face.as_dict() for number, face in zip(numbers, faces, strict=True)
        ],
        "ms": round(1000 * (time.monotonic() - start)),
    }


def error_body(failure: EmotionAIError) -> dict[str, Any]:
    """Build the JSON of an error; `again` says whether a retry may succeed."""
    return {"error": one_line(failure), "again": isinstance(failure, Unavailable)}
