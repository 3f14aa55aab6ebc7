"""What a caller learns of an answer that is none: from a server, in records and on pictures."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from emotion_ai.client.cropping import crop_faces, whole
from emotion_ai.client.drawing import annotate
from emotion_ai.client.records import face_columns, face_row
from emotion_ai.client.requests import DetectedFaces, TimedResponse, decode_faces
from emotion_ai.client.results import Box, Face, ModelResponse
from emotion_ai.errors import Unavailable
from emotion_ai.sample.drawing import draw_faces

DRAWN = next(draw_faces(1, 4))
PICTURE = DRAWN.images[0][..., None].repeat(3, 2)


def outputs(**others: Any) -> dict[str, NDArray]:
    return {
        "keypoints": DRAWN.keypoints.astype(np.float32),
        "emotion_probabilities": np.float32([[0.6, 0.4]]),
        "emotion": np.array([b"happy"], object),
        "emotion_labels": np.array([[b"happy", b"sad"]], object),
        **others,
    }


def answer(picture: NDArray[np.uint8], said: dict[str, NDArray]) -> Face:
    """The face that fills a picture, of which a server said this."""
    boxes = [Box(0, 0, picture.shape[1], picture.shape[0])]
    crops, frames = crop_faces(picture, boxes, whole)
    detected = DetectedFaces("", (96, 96), boxes, crops, frames)
    response = TimedResponse(ModelResponse(said, 3), 0.01)
    return decode_faces([detected], [response], "here:1")[0][0]


def says(reason: bytes, score: float = 2.5) -> dict[str, NDArray]:
    return outputs(face_score=np.float32([score]), cannot_tell=np.array([reason], object))


def test_an_answer_says_that_it_is_one() -> None:
    face = answer(PICTURE, says(b""))
    assert (face.cannot_tell, face.face_score) == ("", 2.5)
    assert (face.as_dict()["cannot_tell"], face.as_dict()["face_score"]) == (None, 2.5)
    assert face_row(face.as_dict())["cannot_tell"] is None


@pytest.mark.parametrize("reason", ["not a face", "ambiguous"])
def test_what_the_networks_say_is_in_all_records(reason: str) -> None:
    face = answer(PICTURE, says(reason.encode(), -1.25))
    assert face.cannot_tell == face.as_dict()["cannot_tell"] == reason
    row = face_row(face.as_dict())
    assert (row["cannot_tell"], row["face_score"], row["emotion"]) == (reason, -1.25, "happy")
    assert row.keys() <= {"left", "top", "width", "height", *face_columns(["happy", "sad"])}


def test_old_releases_answer_as_before_and_the_picture_still_counts() -> None:
    face = answer(PICTURE, outputs())
    assert (face.cannot_tell, face.face_score) == ("", None)
    assert face.as_dict()["face_score"] is None
    small = np.asarray(Image.fromarray(PICTURE).resize((20, 20)))
    assert answer(small, outputs()).cannot_tell == "too small"
    soft = np.asarray(Image.fromarray(PICTURE).filter(ImageFilter.GaussianBlur(6)))
    assert answer(soft, outputs()).cannot_tell == "blurred"


def test_keypoints_of_no_face_are_no_answer() -> None:
    said = outputs(keypoints=np.full((1, 15, 2), 20, np.float32))
    assert answer(PICTURE, said).cannot_tell == "not a face"


def test_a_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(Unavailable, match="not finite"):
        answer(PICTURE, says(b"", np.nan))


@pytest.mark.parametrize("reason", [b"", b"ambiguous"])
def test_pictures_say_it_without_the_colour_of_an_emotion(reason: bytes) -> None:
    large = np.asarray(Image.fromarray(PICTURE).resize((400, 400)))
    canvas = np.zeros((700, 700, 3), np.uint8)
    canvas[150:550, 150:550] = large
    face = answer(PICTURE, says(reason))
    placed = Face(**(vars(face) | {"box": Box(150, 150, 400, 400)}))
    drawn = annotate(canvas, [placed]).astype(int)
    # The yellow of "happy", on the box and its bars.
    yellow = (drawn[..., 0] - drawn[..., 2] > 100) & (drawn[..., 1] > 150)
    assert (yellow.sum() > 500) == (reason == b"")
