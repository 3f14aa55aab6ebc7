"""What the client answers: faces, and pictures with their faces or the reason why not."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.faces.keypoints import NAMES


class Box(NamedTuple):
    """Where a detector saw a face, in pixels of the picture: edges, not pixel centres.

    `score` is the detector's own confidence: higher is surer, the scale is the detector's.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height


@dataclass(frozen=True, eq=False)
class Face:
    """A face and what the model says of it.

    `keypoints` is float64 [15, 2] in pixels of the picture given, upright, (0, 0) the centre of
    its first pixel, in the order of `emotion_ai.faces.keypoints.NAMES`; `latency_s` is how long the
    server took to answer the request that the face went with.
    """

    box: Box
    emotion: str
    probabilities: dict[str, float]
    keypoints: NDArray[np.float64]
    model_version: int
    latency_s: float

    def as_dict(self) -> dict[str, Any]:
        """The face as JSON takes it, with keypoints by name."""
        left, top, width, height, score = (round(float(number), 3) for number in self.box)
        return {
            "box": {"left": left, "top": top, "width": width, "height": height},
            "score": score,
            "emotion": self.emotion,
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
            "keypoints": {
                name: [round(float(x), 2), round(float(y), 2)]
                for name, (x, y) in zip(NAMES, self.keypoints, strict=True)
            },
            "model_version": self.model_version,
            "latency_ms": round(1000 * self.latency_s, 3),
        }


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one of many pictures: its faces, or `error`, why it could not be read.

    `index` counts from 0 in the order given; `source` is the file's path, or "" where the picture
    came as pixels or bytes; `width` and `height` are the upright picture's, 0 with an error.
    """

    index: int
    source: str
    width: int
    height: int
    faces: tuple[Face, ...]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON takes it."""
        if self.error is not None:
            return {"file": self.source, "error": self.error, "faces": []}
        return {
            "file": self.source,
            "width": self.width,
            "height": self.height,
            "faces": [face.as_dict() for face in self.faces],
        }
