"""What the client returns: faces, pictures with their faces or an error, and raw responses."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.head_pose import HeadFit, Pose, fit_head
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.faces.measures import measure, valence
from emotion_ai.faces.reasons import pose_reason


class Box(NamedTuple):
    """A face's bounding box, in pixels of the picture: edges, not pixel centres.

    Attributes:
        left: x of the left edge.
        top: y of the upper edge.
        width: Distance from the left edge to the right one.
        height: Distance from the upper edge to the lower one.
        score: The detector's confidence. Higher is surer; the scale is the detector's.

    Example:
        box = Box(left=80, top=40, width=120, height=150)
        assert (box.right, box.bottom) == (200, 190)
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0

    @property
    def right(self) -> float:
        """The x of the right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The y of the lower edge."""
        return self.top + self.height


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture and the model's predictions for it.

    Attributes:
        box: Where the face is.
        emotion: The most probable emotion.
        probabilities: The probability of each emotion of the model's label set.
        keypoints: float64 [15, 2], x and y in pixels of the upright picture, where (0, 0) is the
            centre of the first pixel, in the order of `emotion_ai.faces.keypoints.NAMES`.
        model_version: The release that answered.
        latency_s: Seconds that the server took to answer the request with this face.
        face_score: How surely the picture shows a face: 0 or more where the networks take it for
            one; None where the release does not know.
        picture_reason: Why its picture and the networks are no ground for an answer, or "";
            `cannot_tell` knows the head's pose too.

    Example:
        with Client("127.0.0.1:8500") as client:
            face = client.predict("party.jpg")[0]
        print(face.emotion, face.probabilities[face.emotion], face.as_dict()["keypoints"])
    """

    box: Box
    emotion: str
    probabilities: dict[str, float]
    keypoints: NDArray[np.float64]
    model_version: int
    latency_s: float
    face_score: float | None = None
    picture_reason: str = ""

    @property
    def cannot_tell(self) -> str:
        """Why the emotion is no answer, a word of `faces.reasons`; "" where it is one."""
        return pose_reason(self.pose, self.picture_reason)

    @property
    def pose(self) -> Pose | None:
        """How the head is turned, in degrees; None where the keypoints are those of no face."""
        return self._head.pose if self._head else None

    @property
    def measures(self) -> dict[str, float] | None:
        """Distances in the face by name, in distances of the eyes; None where `pose` is."""
        return measure(self._head.frontal) if self._head else None

    @property
    def valence(self) -> float | None:
        """How pleasant the expression looks, from -1 to 1; see `faces.measures.valence`."""
        return valence(self.probabilities)

    @cached_property
    def _head(self) -> HeadFit | None:
        return fit_head(self.keypoints)

    def as_dict(self) -> dict[str, Any]:
        """Convert to values that JSON can hold.

        Returns:
            `box`, `score`, `emotion`, `cannot_tell` (None where the emotion is an answer),
            `face_score`, `probabilities`, `valence`, `pose` (`yaw`, `pitch`, `roll`), `measures`,
            `keypoints` ([x, y] by name), `model_version` and `latency_ms`, rounded for reading.
        """
        valence, pose, measures = self.valence, self.pose, self.measures
        left, top, width, height, score = (round(float(number), 3) for number in self.box)
        return {
            "box": {"left": left, "top": top, "width": width, "height": height},
            "score": score,
            "emotion": self.emotion,
            "cannot_tell": self.cannot_tell or None,
            "face_score": None if self.face_score is None else round(self.face_score, 3),
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "valence": None if valence is None else round(valence, 6),
            # Without the sign that a zero may have.
            "pose": pose and {name: round(a, 1) + 0.0 for name, a in pose._asdict().items()},
            "measures": measures and {name: round(size, 4) for name, size in measures.items()},
            "keypoints": {
                name: [round(float(x), 2), round(float(y), 2)]
                for name, (x, y) in zip(NAMES, self.keypoints, strict=True)
            },
            "model_version": self.model_version,
            "latency_ms": round(1000 * self.latency_s, 3),
        }


@dataclass(frozen=True, eq=False)
class Prediction:
    """One of many pictures: its faces, or the error that kept it from being read.

    Attributes:
        index: The picture's number from 0, in the order given.
        source: The file's path, or "" for a picture given as pixels or bytes.
        width: Width of the upright picture in pixels; 0 with an error.
        height: Height of the upright picture in pixels; 0 with an error.
        faces: The faces, the surest detection first.
        error: Why the picture could not be read; None where it could.

    Example:
        with Client("127.0.0.1:8500") as client:
            for prediction in client.predict_many(["party.jpg", "missing.jpg"]):
                print(prediction.source, prediction.error or len(prediction.faces))
    """

    index: int
    source: str
    width: int
    height: int
    faces: tuple[Face, ...]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Convert to values that JSON can hold.

        Returns:
            `file`, `width`, `height` and `faces`; or `file`, `error` and no faces.
        """
        if self.error is not None:
            return {"file": self.source, "error": self.error, "faces": []}
        return {
            "file": self.source,
            "width": self.width,
            "height": self.height,
            "faces": [face.as_dict() for face in self.faces],
        }


class ModelResponse(NamedTuple):
    """The model's outputs for one request.

    Attributes:
        outputs: Arrays by output name, batch first: `keypoints` float32 [n, 15, 2] in pixels of
            the 96x96 frame, `emotion_probabilities` float32 [n, k], and `emotion` [n] and
            `emotion_labels` [n, k], objects of bytes; and of a release that knows when its answer
            is none, `face_score` float32 [n] and `cannot_tell` [n], objects of bytes.
        version: The release that answered.

    Example:
        with Client("127.0.0.1:8500") as client:
            response = client.predict_arrays(np.zeros((2, 96, 96, 1), np.uint8))
        assert response.outputs["keypoints"].shape == (2, 15, 2)
    """

    outputs: dict[str, NDArray]
    version: int


class VersionStatus(NamedTuple):
    """The state of a release on the server.

    Attributes:
        version: The release's number.
        state: START, LOADING, AVAILABLE, UNLOADING or END, as TensorFlow Serving names them.
        error: Why the release failed to load, or "".

    Example:
        with Client("127.0.0.1:8500") as client:
            for status in client.version_statuses():
                print(status.version, status.state, status.error)
    """

    version: int
    state: str
    error: str
