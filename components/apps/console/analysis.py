"""One look at a picture: what the page is told about the faces in it."""

import time
from typing import Any

from emotion_ai.client.client import Client
from emotion_ai.client.detectors import Detector, open_detector
from emotion_ai.client.images import read_image
from emotion_ai.client.tracking import Tracker
from emotion_ai.errors import InputError, Unavailable, one_line

# Somebody before a camera is near, and there are more pictures than time to look through them: half
# of it for each, and faces from 55 pixels of 640.
_LIVE = {"yunet": "yunet:480"}


def live_detector(faces: str) -> Detector:
    """The detector for a camera's frames, where `faces` is the one for photos."""
    return open_detector(_LIVE.get(faces, faces))


def analyse_photo(
    data: bytes, client: Client, detector: Detector, tracker: Tracker, timeout: float
) -> dict[str, Any]:
    """The faces in a picture file's bytes, as JSON takes them, each with its number.

    The picture is as in `images.read_image`; `detector` frames faces as the client's does. Numbers
    are the tracker's: in the next look of the same one a face keeps its own. Raises `InputError`
    for no picture, `Unavailable` for the server.
    """
    start = time.monotonic()
    pixels = read_image(data)
    # Numbered as one reads.
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


def error_body(failure: InputError | Unavailable) -> dict[str, Any]:
    """A failure, as the page reads it: `again` says whether to ask once more is of use."""
    return {"error": one_line(failure), "again": isinstance(failure, Unavailable)}
